// SPDX-License-Identifier: Apache-2.0
// Configs for the tests of the cell configs: random ones, and small ones that a test edits.
#pragma once

#include <cstddef>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>

#include "hil/lib/cell_yaml.hpp"

namespace hil::test {

/// Random bits in every field of every array, sparse enough that words, zeros and odd numbers all occur.
class RandomConfig {
  public:
    explicit RandomConfig(uint64_t seed) : generator_(seed) {}

    CellConfig make() {
        const auto architecture = static_cast<jh_architecture>(below(3));
        CellConfig config = empty_cell_config(below(2) == 0, architecture);
        fill_descriptor(config);
        config.cpu_set.resize(below(3) == 0 ? below(40) : 8);
        scramble(config.cpu_set.data(), config.cpu_set.size());
        fill(config.memory, 12);
        fill(config.caches, 3);
        fill(config.irqchips, 3);
        fill(config.pio, 4);
        fill(config.pci_devices, 4);
        fill(config.pci_capabilities, 4);
        fill(config.stream_ids, 4);
        for (jh_pci_device& device : config.pci_devices) {
            device.type = static_cast<uint8_t>(below(2) == 0 ? uint64_t{JH_PCI_IVSHMEM} : uint64_t{device.type});
            device.shmem_regions_start = below(2) == 0 ? static_cast<uint32_t>(below(14)) : device.shmem_regions_start;
        }
        return config;
    }

    uint64_t below(uint64_t limit) { return generator_() % limit; }

  private:
    void scramble(void* data, size_t size) {
        auto* bytes = static_cast<uint8_t*>(data);
        const uint64_t density = below(4);
        for (size_t index = 0; index < size; ++index) {
            bytes[index] = density == 0 || below(4) >= density ? uint8_t{0} : static_cast<uint8_t>(below(256));
        }
    }
    void fill_descriptor(CellConfig& config) {
        constexpr size_t start = 8; // signature, architecture and revision stay
        if (config.system) {
            auto* bytes = reinterpret_cast<uint8_t*>(&*config.system);
            scramble(bytes + start, offsetof(jh_system, root_cell) - start);
            scramble(&config.cell, sizeof(config.cell));
        } else {
            scramble(reinterpret_cast<uint8_t*>(&config.cell) + start, sizeof(config.cell) - start);
        }
        if (below(2) == 0) {
            std::memset(config.cell.name, 0, sizeof(config.cell.name));
            std::memcpy(config.cell.name, "a cell: \"x\" #1", 14);
        }
    }
    template <typename T> void fill(std::vector<T>& array, uint64_t most) {
        array.resize(below(most + 1));
        for (T& entry : array) {
            scramble(&entry, sizeof(entry));
        }
    }

    std::mt19937_64 generator_;
};

inline const char* const sample_devices = R"(
linux-ram:
  - {address: 0x40000000, size: 256M}
devices:
  - {name: gicd, description: GIC distributor, address: 0x08000000, size: 64K, emulated: yes}
  - {name: uart0, description: PL011 UART, address: 0x09000000, size: 4K, interrupts: [33], used-by-root: yes}
  - {name: uart1, description: PL011 UART, address: 0x09040000, size: 4K, interrupts: [40], needs: [ccu]}
  - {name: ccu, description: clock control, address: 0x09020000, size: 4K}
)";

inline const char* const sample_root = R"(
kind: system
architecture: arm64
name: root
hypervisor-memory: {physical: 0x5fc00000, size: 4M}
debug-console: {type: pl011, device: uart0, flags: mmio register-distance-4}
platform:
  pci-mmconfig-base: 0x0f000000
  pci-mmconfig-end-bus: 0
  pci-is-virtual: 1
  pci-domain: 1
  arm: {maintenance-irq: 25, gic-version: 3, gicd-base: 0x08000000, gicr-base: 0x080a0000}
cpus: [0-3]
vpci-irq-base: 96
memory:
  - device: uart0
  - device: uart1
  - device: ccu
  - {name: ram, physical: 0x40000000, size: 256M, flags: read write execute dma}
  - {name: cells-ram, physical: 0x50000000, size: 128M, flags: read write execute dma}
  - {name: link0-state, physical: 0x5f000000, size: 4K, flags: read}
  - {name: link0-rw, physical: 0x5f001000, size: 4K, flags: read write}
  - {name: link0-out0, physical: 0x5f002000, size: 8K, flags: read write}
  - {name: link0-out1, physical: 0x5f004000, size: 8K, flags: read}
irqchips:
  - {device: gicd, pin-base: 32, interrupts: [32-159]}
pci:
  - {type: ivshmem, link: link0, domain: 1, bdf: "00:00.0", first-region: link0-state, peer-id: 0, peers: 2}
)";

inline const char* const sample_cell = R"(
kind: cell
architecture: arm64
name: demo
flags: passive-comm-region
cpus: [1]
vpci-irq-base: 100
console: {type: pl011, device: uart0, flags: mmio register-distance-4}
memory:
  - {name: ram, physical: 0x50000000, virtual: 0, size: 1M, flags: read write execute loadable}
  - {name: comm, physical: 0, virtual: 0x80000000, size: 4K, flags: read write comm-region}
  - {device: uart0, flags: read write io io-32 root-shared}
  - {name: link0-state, physical: 0x5f000000, size: 4K, flags: read root-shared}
  - {name: link0-rw, physical: 0x5f001000, size: 4K, flags: read write root-shared}
  - {name: link0-out0, physical: 0x5f002000, size: 8K, flags: read root-shared}
  - {name: link0-out1, physical: 0x5f004000, size: 8K, flags: read write root-shared}
irqchips:
  - {device: gicd, pin-base: 32, interrupts: [132-135]}
pci:
  - {type: ivshmem, link: link0, domain: 1, bdf: "00:00.0", first-region: link0-state, peer-id: 1, peers: 2}
)";

/// The text with the one place where `from` is replaced; a test that edits nothing is a mistake.
inline std::string edited(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    if (at == std::string::npos) {
        throw std::logic_error("the sample has no \"" + from + "\"");
    }
    return text.replace(at, from.size(), to);
}

} // namespace hil::test
