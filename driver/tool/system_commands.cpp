// SPDX-License-Identifier: Apache-2.0
// enable, disable
#include "command.hpp"
#include "device.hpp"

#include <sys/ioctl.h>

#include "abi/ioctl.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "abi/cell_config.h"

namespace {

// What the descriptor's counts ask for; the descriptor's own size when that is not there as a whole.
std::size_t expected_size(const std::vector<char>& config) {
    if (config.size() < sizeof(jh_system)) {
        return sizeof(jh_system);
    }
    jh_cell cell;
    std::memcpy(&cell, config.data() + offsetof(jh_system, root_cell), sizeof(cell));
    return sizeof(jh_system) + std::size_t{cell.cpu_set_size} + cell.num_memory_regions * sizeof(jh_memory) +
           cell.num_cache_regions * sizeof(jh_cache) + cell.num_irqchips * sizeof(jh_irqchip) +
           cell.num_pio_regions * sizeof(jh_pio) + cell.num_pci_devices * sizeof(jh_pci_device) +
           cell.num_pci_caps * sizeof(jh_pci_capability) + cell.num_stream_ids * sizeof(std::uint32_t);
}

} // namespace

int enable(Words words) {
    if (words.size() != 1) {
        return usage("enable takes one system config");
    }
    const auto config = read_file(words[0]);
    if (!config) {
        return 1;
    }
    if (config->size() < expected_size(*config)) {
        // The device takes the sizes from the config itself and would read what lies behind it.
        std::fprintf(stderr, "%s: %zu bytes; a system config has at least %zu\nJAILHOUSE_ENABLE: %s\n", words[0],
                     config->size(), expected_size(*config), std::strerror(EINVAL));
        return 1;
    }
    return call_device(JH_IOC_ENABLE, config->data(), "JAILHOUSE_ENABLE");
}

int disable(Words words) {
    if (!words.empty()) {
        return usage("disable takes nothing");
    }
    return call_device(JH_IOC_DISABLE, nullptr, "JAILHOUSE_DISABLE");
}
