// SPDX-License-Identifier: Apache-2.0
// A machine for the host tests of gaol's core: memory in a buffer, real translation tables, CPUs that answer at once,
// and a record of what the core asked for.
#pragma once

#include "hypervisor/core/cell_config.hpp"
#include "hypervisor/core/hypervisor.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace gaol::test {

inline constexpr uint64_t hypervisor_base = 0x7fc00000;
inline constexpr uint64_t hypervisor_size = 0x400000;

/// Builds configs as bytes: a descriptor and its arrays.
struct ConfigBuilder {
    jh_cell cell = {};
    std::vector<uint8_t> cpus;
    std::vector<jh_memory> memory;
    std::vector<jh_irqchip> irqchips;
    std::vector<jh_pci_device> devices;

    explicit ConfigBuilder(const std::string& name, uint32_t id, uint8_t cpu_mask);
    /// Counts set, arrays appended.
    [[nodiscard]] std::vector<uint8_t> bytes() const;
};

jh_memory ram(uint64_t phys, uint64_t virt, uint64_t size, uint64_t extra = 0);
/// Four regions of a two-peer link at `base` for peer `id`, and its device.
void add_link(ConfigBuilder& config, uint64_t base, uint8_t id, uint16_t bdf);

/// The system config of FakeMachine: a struct jh_system with the root cell's arrays.
std::vector<uint8_t> good_system();

/// Memory that was cleaned out of the caches, and who could reach it meanwhile.
struct Cleaned {
    PhysRange range;
    bool roots;     ///< mapped in the root cell
    CpuSet held;    ///< CPUs that stood still
    CpuSet running; ///< CPUs of other cells than the root that ran
};

class FakeMachine {
  public:
    /// Four CPUs, a root cell with RAM 0x40000000-0x7f9fffff and a link at 0x7fa00000, all CPUs of the root.
    FakeMachine();
    /// The same machine enabled with another system config; `error` is what enabling gave.
    explicit FakeMachine(const std::vector<uint8_t>& system);
    ~FakeMachine();
    FakeMachine(const FakeMachine&) = delete;
    FakeMachine& operator=(const FakeMachine&) = delete;

    /// Put bytes into physical memory.
    void write(uint64_t phys, const std::vector<uint8_t>& bytes);
    uint32_t read32(uint64_t phys);
    /// Create a cell from a config placed in the root's memory, with its CPUs offline.
    int create(const ConfigBuilder& config);
    /// Where the cell's address leads: physical address, or ~0.
    uint64_t translate(const Cell& cell, uint64_t guest);
    bool writable(const Cell& cell, uint64_t guest);
    /// Everything on the console since the last call.
    std::string console();
    static void offline(uint32_t cpu);

    std::vector<uint8_t>& page(uint64_t phys);
    /// Nothing answers there: everything above the hypervisor's memory.
    [[nodiscard]] bool absent(uint64_t phys) const { return phys >= hypervisor_base + hypervisor_size; }

    int error = 0;                                  ///< of enabling
    std::string asked;                              ///< of the architecture: mappings, interrupts; a line each
    std::vector<uint32_t> raised;                   ///< interrupts made pending
    std::vector<Cleaned> cleaned;                   ///< out of the caches
    std::function<void()> on_relax;                 ///< what others do while a CPU waits
    uint64_t clock = 0;                             ///< microseconds; each relax adds one
    std::map<uint64_t, std::vector<uint8_t>> pages; ///< physical memory outside the hypervisor

  private:
    std::vector<uint8_t> system_;
    uint64_t console_read_ = 0;
};

/// A management call made again and again until no cell's reply is missing; others run between two turns.
template <typename Argument> int finish(int (*call)(Argument), std::type_identity_t<Argument> argument) {
    int result = call(argument);
    while (result == -JH_EAGAIN) {
        arch::relax();
        result = call(argument);
    }
    return result;
}

/// The machine of the running test.
FakeMachine& machine();

} // namespace gaol::test
