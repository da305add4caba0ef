// SPDX-License-Identifier: Apache-2.0
// Enabling with any system config: a good one with bytes changed, cut off or longer, or anything at all. A refusal
// names a field; what is accepted keeps the hypervisor's memory from the root and can create a cell, or says why not.
#include "tests/fuzz/gaol_fuzz.hpp"

#include "hypervisor/core/hypercall.hpp"
#include "hypervisor/core/management.hpp"

#include <algorithm>

namespace {

using namespace gaol;
using namespace gaol::fuzz;

std::vector<uint8_t> config_of(Input& input) {
    const uint8_t kind = input.byte();
    if (kind == 0xff) {
        std::vector<uint8_t> any(input.rest().begin(), input.rest().end());
        any.resize(std::max(any.size(), size_t{1})); // the loader hands over a pointer, never none
        return any;
    }
    std::vector<uint8_t> bytes = test::good_system();
    if ((kind & 1) != 0) {
        bytes.resize(1 + input.number(2) % (bytes.size() + 64));
    }
    for (uint8_t change = 0; change < kind / 2 && !input.empty(); ++change) {
        const size_t at = input.number(2) % bytes.size();
        const size_t width = size_t{1} << input.byte() % 4;
        const uint64_t value = input.number(width);
        std::memcpy(&bytes[at], &value, std::min(width, bytes.size() - at));
    }
    return bytes;
}

/// No address of the root's leads to the hypervisor's memory; its console, which can be read only, is no address of it.
void require_kept_apart(test::FakeMachine& machine) {
    for (const auto& region : hypervisor().root.config.memory()) {
        const uint64_t last = region.size == 0 ? 0 : region.size - 1;
        for (const uint64_t offset : {uint64_t{0}, last / 2, last}) {
            const uint64_t phys = machine.translate(hypervisor().root, region.virt_start + offset);
            require(phys == ~uint64_t{0} || phys - test::hypervisor_base >= test::hypervisor_size);
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input(data, size);
    test::FakeMachine machine(config_of(input));
    const std::string said = machine.console();
    if (machine.error != 0) {
        require(machine.error < 0 && machine.error > -JH_EINVAL - 100);
        require(machine.error == -JH_ENOMEM || said.find("refused") != std::string::npos);
        return 0;
    }
    require_kept_apart(machine);
    const int error = machine.create(good_cell(2));
    require(error == 0 || machine.console().find("refused") != std::string::npos || error == -JH_ENOMEM);
    if (error == 0) {
        require_isolated(machine, *hypervisor().root.next);
        require_kept_apart(machine);
    }
    return 0;
}
