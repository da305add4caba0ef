// SPDX-License-Identifier: Apache-2.0
// Creating a cell from any bytes: a good config with bytes changed, or anything at all. A refusal names a field and
// changes nothing; what is accepted is isolated, runs through its life and leaves nothing behind.
#include "tests/fuzz/gaol_fuzz.hpp"

#include "hypervisor/core/hypercall.hpp"
#include "hypervisor/core/management.hpp"

namespace {

using namespace gaol;
using namespace gaol::fuzz;

constexpr uint64_t place = 0x48000ff0; // across pages

std::vector<uint8_t> config_of(Input& input) {
    const uint8_t kind = input.byte();
    if (kind == 0xff) {
        return {input.rest().begin(), input.rest().end()};
    }
    std::vector<uint8_t> bytes = good_cell(kind % 3).bytes();
    for (uint8_t change = 0; change < kind / 3 && !input.empty(); ++change) {
        const size_t at = input.number(2) % bytes.size();
        const size_t width = size_t{1} << input.byte() % 4;
        const uint64_t value = input.number(width);
        std::memcpy(&bytes[at], &value, std::min(width, bytes.size() - at));
    }
    return bytes;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input(data, size);
    test::FakeMachine machine;
    const Snapshot before(machine);
    for (uint32_t cpu = 1; cpu < 4; ++cpu) {
        test::FakeMachine::offline(cpu);
    }
    machine.write(place, config_of(input));
    const int64_t error = hypercall(*hypervisor().cpus[0], JH_HC_CELL_CREATE, place, 0);
    const std::string said = machine.console();
    if (error != 0) {
        require(error < 0 && error > -JH_EINVAL - 100);
        require(error == -JH_ENOMEM || said.find("refused") != std::string::npos);
        before.require_same();
        return 0;
    }
    Cell& cell = *hypervisor().root.next;
    require_isolated(machine, cell);
    const uint32_t id = cell.id;
    require(cell_set_loadable(id) == 0);
    require(cell_start(id) == 0);
    cell.comm->generic.cell_state = JH_CELL_SHUT_DOWN;
    require(cell_destroy(id) == 0);
    before.require_same();
    return 0;
}
