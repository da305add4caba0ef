// SPDX-License-Identifier: Apache-2.0
// Any sequence of accesses of root and cells to configuration space, ivshmem registers and sub-page regions. What it
// changes in memory is the accessor's own word of its state table and its own device; what it interrupts are peers.
#include "tests/fuzz/gaol_fuzz.hpp"

#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/core/vpci.hpp"

namespace {

using namespace gaol;
using namespace gaol::fuzz;

constexpr uint64_t addresses[] = {
    0x0f000000, 0x0f000004, 0x0f000010, 0x0f00003c, 0x0f000040, 0x0f000043, 0x0f008004, 0x0f008010,
    0x0f0fffff, 0x0f100000, 0x0f100004, 0x0f100008, 0x0f10000c, 0x0f100010, 0x90000100, 0x900001fc,
    0x78000000, 0x78000100, 0x780000fd, 0x780001ff, 0x78000ffe, 0x78000400,
};
constexpr uint64_t values[] = {0, 1, 2, 3, 0x10000, 0x20000, 0x406, 0x0f100000, 0x0f110000, 0xffffffff};
constexpr uint64_t device_page = 0x78000000;

struct Accessor {
    Cell* cell;
    uint64_t own_start; ///< its part of the device page
    uint64_t own_end;
};

void access(test::FakeMachine& machine, const Accessor& who, Input& input) {
    MmioAccess access{input.of(addresses), 1u << input.byte() % 4, input.byte() % 2 == 0, input.of(values)};
    const MmioAccess asked = access;
    const std::vector<uint8_t> device = machine.page(device_page);
    MmioResult result = vpci_access(*who.cell, access);
    if (result == MmioResult::forbidden) {
        ConsoleOut out;
        vpci_describe(out, access);
    }
    if (result == MmioResult::unclaimed) {
        result = subpage_access(*who.cell, access);
    }
    require(access.address == asked.address && access.size == asked.size && access.write == asked.write);
    const auto& after = machine.page(device_page);
    for (size_t at = 0; at < page_size; ++at) {
        const bool others = who.cell->is_root() ? at >= 0x100 && at < 0x300 : at < who.own_start || at >= who.own_end;
        require(after[at] == device[at] || (asked.write && !others));
    }
}

/// State tables have nothing but the peers' own states; interrupts went to ends of links only.
void require_consistent(test::FakeMachine& machine) {
    for (const auto& link : hypervisor().links) {
        for (size_t id = 0; id < max_peers; ++id) {
            const IvshmemDevice* end = link.peer[id];
            require(end == nullptr || machine.read32(end->state_table().value + id * 4) == end->state);
        }
    }
    for (const uint32_t interrupt : machine.raised) {
        require((interrupt >= 128 && interrupt < 132) || (interrupt >= 132 && interrupt < 140));
    }
    for (const auto& [page, bytes] : machine.pages) {
        require(page == device_page || page == 0x7fa00000 || page == 0x79000000 ||
                (page & ~uint64_t{0xffff}) == 0x48000000);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input(data, size);
    test::FakeMachine machine;
    require(machine.create(good_cell(0)) == 0);
    require(machine.create(good_cell(1)) == 0);
    Hypervisor& hv = hypervisor();
    const Accessor accessors[] = {{&hv.root, 0, 0}, {hv.find_cell(1), 0x100, 0x200}, {hv.find_cell(2), 0x200, 0x300}};
    for (int steps = 0; steps < 300 && !input.empty(); ++steps) {
        access(machine, accessors[input.byte() % 3], input);
    }
    require_consistent(machine);
    return 0;
}
