// SPDX-License-Identifier: Apache-2.0
// Any sequence of hypercalls from root and cells, while cells write what they like into their communication regions,
// start, stop and fail. Whatever happened, all cells can be destroyed and nothing is left.
#include "tests/fuzz/gaol_fuzz.hpp"

#include "hypervisor/core/comm_region.hpp"
#include "hypervisor/core/hypercall.hpp"
#include "hypervisor/core/management.hpp"

namespace {

using namespace gaol;
using namespace gaol::fuzz;

constexpr uint64_t places[] = {0x48000000, 0x48002000, 0x48004000, 0x48001000, 0, ~uint64_t{0} - 4};
constexpr uint64_t ids[] = {0, 1, 2, 3, 4};

/// A CPU that is in no cell but the root's goes offline, as PSCI would have it.
void toggle(Cpu& cpu) {
    if (cpu.id != 0 && cpu.cell->is_root() && cpu.state != CpuState::failed) {
        cpu.state = cpu.state == CpuState::off ? CpuState::running : CpuState::off;
    }
}

void cell_writes(Input& input) {
    Cell* cell = hypervisor().find_cell(static_cast<uint32_t>(ids[input.byte() % 5]));
    if (cell != nullptr && !cell->is_root()) {
        const size_t at = input.byte() % 32;
        const auto value = static_cast<uint32_t>(input.number(input.byte() % 2 == 0 ? 1 : 4));
        std::memcpy(reinterpret_cast<uint8_t*>(cell->comm) + at, &value, sizeof(value));
    }
}

void step(Input& input) {
    Hypervisor& hv = hypervisor();
    Cpu& cpu = *hv.cpus[input.byte() % 4];
    switch (input.byte() % 8) {
    case 0:
        toggle(cpu);
        break;
    case 1:
        cell_writes(input);
        break;
    case 2:
        if (cpu.id != 0 && cpu.state == CpuState::running) {
            cpu_stopped(cpu, input.byte() % 2 == 0 ? CpuState::failed : CpuState::off);
        }
        break;
    case 3:
        arch::relax();
        break;
    default: {
        const uint64_t number = input.byte() % 12;
        const uint64_t first = number == JH_HC_CELL_CREATE ? input.of(places) : input.of(ids);
        // The fake machine's CPU 0 is the one that is in the hypervisor; cells may call from theirs.
        Cpu& caller = cpu.cell->is_root() ? *hv.cpus[0] : cpu;
        hypercall(caller, number, first, input.number(2));
        break;
    }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input(data, size);
    test::FakeMachine machine;
    for (uint32_t index = 0; index < 3; ++index) {
        auto config = good_cell(index);
        config.cell.flags |= index == 2 ? JH_CELL_PASSIVE_COMMREG : 0;
        machine.write(places[index], config.bytes());
    }
    const Snapshot before(machine);
    for (int steps = 0; steps < 200 && !input.empty(); ++steps) {
        step(input);
    }
    const UnfinishedCall& waiting = hypervisor().unfinished;
    while (waiting.number != 0) { // every cell has a limit
        hypercall(*hypervisor().cpus[0], waiting.number, waiting.argument, 0);
        arch::relax();
    }
    while (Cell* cell = hypervisor().root.next) {
        cell->comm->generic.cell_state = JH_CELL_SHUT_DOWN;
        for (Cell* other = cell->next; other != nullptr; other = other->next) {
            other->comm->generic.cell_state = JH_CELL_SHUT_DOWN;
        }
        require(cell_destroy(cell->id) == 0);
    }
    before.require_same();
    return 0;
}
