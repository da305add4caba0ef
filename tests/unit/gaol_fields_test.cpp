// SPDX-License-Identifier: Apache-2.0
// gaol: no bit of a config is ignored. Every bit of every field of revision 14 is flipped, one at a time. Whatever
// comes of it must be one of three: the config is refused by a line that names the field; the machine behaves in
// another way; or docs/abi.md lists the field among those without effect, and then it must have had none.
#include "hypervisor/core/hypercall.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/core/vpci.hpp"
#include "hypervisor/host/fake_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace gaol::test {
namespace {

/// A field of a struct: where it is, and the words of which a refusal must have one.
struct Field {
    const char* name;
    size_t size;
    std::vector<const char*> words = {}; ///< none: the name itself
};

#define FIELD(type, name, ...)                                                                                         \
    Field {                                                                                                            \
#name, sizeof(type::name), __VA_ARGS__                                                                         \
    }

/// The words behind an array's size: what follows it is another array then, so that any field may be named.
const std::vector<const char*> any = {""};
/// Addresses and sizes are judged together.
const std::vector<const char*> place = {"phys_start", "virt_start", "section", "state table", "overlaps", "size"};

const std::vector<Field> console_fields = {
    FIELD(jh_console, address), FIELD(jh_console, size),    FIELD(jh_console, type),      FIELD(jh_console, flags),
    FIELD(jh_console, divider), FIELD(jh_console, gate_nr), FIELD(jh_console, clock_reg),
};

const std::vector<Field> cell_fields = {
    FIELD(jh_cell, signature),
    FIELD(jh_cell, architecture),
    FIELD(jh_cell, revision),
    FIELD(jh_cell, name),
    FIELD(jh_cell, id),
    FIELD(jh_cell, flags),
    FIELD(jh_cell, cpu_set_size, any),
    FIELD(jh_cell, num_memory_regions, any),
    FIELD(jh_cell, num_cache_regions, {"num_cache_regions", "size"}),
    FIELD(jh_cell, num_irqchips, any),
    FIELD(jh_cell, num_pio_regions, {"num_pio_regions", "size"}),
    FIELD(jh_cell, num_pci_devices, any),
    FIELD(jh_cell, num_pci_caps, {"num_pci_caps", "size"}),
    FIELD(jh_cell, num_stream_ids, {"num_stream_ids", "size"}),
    FIELD(jh_cell, vpci_irq_base),
    FIELD(jh_cell, cpu_reset_address),
    FIELD(jh_cell, msg_reply_timeout),
};

const std::vector<Field> memory_fields = {
    FIELD(jh_memory, phys_start, place),
    FIELD(jh_memory, virt_start, place),
    FIELD(jh_memory, size, {"phys_start", "virt_start", "section", "state table", "overlaps", "size"}),
    FIELD(jh_memory, flags,
          {"flags", "WRITE", "state table", "section", "COMM_REGION", "page aligned", "overlaps", "phys_start"}),
};

const std::vector<Field> irqchip_fields = {
    FIELD(jh_irqchip, address),
    FIELD(jh_irqchip, id),
    FIELD(jh_irqchip, pin_base),
    FIELD(jh_irqchip, pin_bitmap, {"pin_bitmap", "irqchips or vpci_irq_base"}),
};

const std::vector<Field> device_fields = {
    FIELD(jh_pci_device, type),
    FIELD(jh_pci_device, iommu),
    FIELD(jh_pci_device, domain),
    FIELD(jh_pci_device, bdf),
    FIELD(jh_pci_device, bar_mask),
    FIELD(jh_pci_device, caps_start),
    FIELD(jh_pci_device, num_caps),
    FIELD(jh_pci_device, num_msi_vectors),
    FIELD(jh_pci_device, msi_flags),
    FIELD(jh_pci_device, num_msix_vectors),
    FIELD(jh_pci_device, msix_region_size),
    FIELD(jh_pci_device, msix_address),
    FIELD(jh_pci_device, shmem_regions_start, {"shmem_regions_start", "section", "state table"}),
    FIELD(jh_pci_device, shmem_dev_id, {"shmem_dev_id", "section"}),
    FIELD(jh_pci_device, shmem_peers, {"shmem_peers", "shmem_dev_id", "shmem_regions_start", "section"}),
    FIELD(jh_pci_device, shmem_protocol),
};

const std::vector<Field> iommu_fields = {
    FIELD(jh_iommu, type, {"iommu unit"}),
    FIELD(jh_iommu, base, {"iommu unit"}),
    FIELD(jh_iommu, size, {"iommu unit"}),
    {"tipvu", sizeof(jh_iommu::tipvu), {"iommu unit"}},
};

/// One stretch of a config that is walked: a struct at an offset.
struct Part {
    std::string name;
    size_t offset;
    std::vector<Field> fields;
};

size_t size_of(const std::vector<Field>& fields) {
    size_t sum = 0;
    for (const auto& field : fields) {
        sum += field.size;
    }
    return sum;
}

/// What a flag does depends on what the region is.
std::string kind_of(const jh_memory& region) {
    return region.size == 0                           ? "empty memory"
           : (region.flags & JH_MEM_COMM_REGION) != 0 ? "COMM_REGION"
           : is_subpage(region)                       ? "sub-page memory"
           : (region.flags & JH_MEM_ROOTSHARED) != 0  ? "ROOTSHARED memory"
                                                      : "memory";
}

/// A cell's descriptor with its arrays, from `offset` on.
std::vector<Part> cell_parts(const jh_cell& cell, size_t offset, const std::string& prefix) {
    std::vector<Part> parts = {{prefix + "cell", offset, cell_fields}};
    parts.push_back({prefix + "cell.console", offset + offsetof(jh_cell, console), console_fields});
    offset += sizeof(jh_cell);
    parts.push_back({prefix + "cpu set", offset, {{"cpu set", cell.cpu_set_size, {}}}});
    offset += cell.cpu_set_size;
    const auto* regions =
        reinterpret_cast<const jh_memory*>(reinterpret_cast<const uint8_t*>(&cell + 1) + cell.cpu_set_size);
    for (uint32_t index = 0; index < cell.num_memory_regions; ++index, offset += sizeof(jh_memory)) {
        parts.push_back({prefix.empty() ? kind_of(regions[index]) : prefix + "memory", offset, memory_fields});
    }
    for (uint32_t index = 0; index < cell.num_irqchips; ++index, offset += sizeof(jh_irqchip)) {
        parts.push_back({prefix + "irqchip", offset, irqchip_fields});
    }
    for (uint32_t index = 0; index < cell.num_pci_devices; ++index, offset += sizeof(jh_pci_device)) {
        parts.push_back({prefix + "pci device", offset, device_fields});
    }
    return parts;
}

#define PLATFORM(name, ...)                                                                                            \
    Field {                                                                                                            \
#name, sizeof(jh_platform::name), __VA_ARGS__                                                                  \
    }
#define ARM(name, ...)                                                                                                 \
    Field {                                                                                                            \
#name, sizeof(jh_platform{}.arm.name), __VA_ARGS__                                                             \
    }

std::vector<Part> system_parts(const jh_system& system) {
    const std::vector<const char*> window = {"pci_mmconfig", "pci device"};
    std::vector<Part> parts = {{"system",
                                0,
                                {FIELD(jh_system, signature), FIELD(jh_system, architecture),
                                 FIELD(jh_system, revision), FIELD(jh_system, flags)}},
                               {"hypervisor_memory", offsetof(jh_system, hypervisor_memory), memory_fields},
                               {"debug_console", offsetof(jh_system, debug_console), console_fields},
                               {"platform",
                                offsetof(jh_system, platform),
                                {PLATFORM(pci_mmconfig_base, window), PLATFORM(pci_mmconfig_end_bus, window),
                                 PLATFORM(pci_is_virtual), PLATFORM(pci_domain, {"domain"})}}};
    const size_t units = offsetof(jh_system, platform) + offsetof(jh_platform, iommu_units);
    for (size_t unit = 0; unit < JH_MAX_IOMMU_UNITS; ++unit) {
        parts.push_back({"iommu unit " + std::to_string(unit), units + unit * sizeof(jh_iommu), iommu_fields});
    }
    parts.push_back({"platform.arm",
                     offsetof(jh_system, platform) + offsetof(jh_platform, arm),
                     {ARM(maintenance_irq), ARM(gic_version), ARM(padding), ARM(gicd_base), ARM(gicc_base),
                      ARM(gich_base), ARM(gicv_base), ARM(gicr_base)}});
    for (auto& part : cell_parts(system.root_cell, offsetof(jh_system, root_cell), "root ")) {
        parts.push_back(part);
    }
    return parts;
}

/// Do the parts cover the bytes from the first to the last, each once?
void expect_whole(const std::vector<Part>& parts, size_t size) {
    size_t covered = 0;
    for (const auto& part : parts) {
        EXPECT_EQ(part.offset, covered) << part.name;
        covered = part.offset + size_of(part.fields);
    }
    EXPECT_EQ(covered, size);
}

/// docs/abi.md, "Fields without effect": the first column, a name in backquotes each.
std::set<std::string> fields_without_effect() {
    std::ifstream file(HIL_SOURCE "/docs/abi.md");
    std::set<std::string> names;
    bool here = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("## ")) {
            here = line == "## Fields without effect";
        }
        const size_t column = line.find(" |");
        if (!here || !line.starts_with("| `")) {
            continue;
        }
        for (size_t at = line.find('`'); at < column; at = line.find('`', at + 1)) {
            const size_t end = line.find('`', at + 1);
            names.insert(line.substr(at + 1, end - at - 1));
            at = end;
        }
    }
    return names;
}

constexpr uint64_t place_of_config = 0x48000123;

/// What a cell sees and does, as text: two machines whose texts are equal do the same.
class Behaviour {
  public:
    explicit Behaviour(FakeMachine& machine) : machine_(machine) {}

    /// The bus, the sub-page regions, its pages, the console: what `cell` finds.
    void look(Cell& cell) {
        out_ << "cell " << cell.name() << " id " << cell.id << " cpus";
        for (size_t cpu = cell.cpus.next(); cpu < max_cpus; cpu = cell.cpus.next(cpu + 1)) {
            out_ << " " << cpu;
        }
        if (!cell.is_root()) { // which has no COMM_REGION
            bytes(reinterpret_cast<const uint8_t*>(cell.comm), sizeof(jh_comm_arm));
        }
        look_at_bus(cell);
        for (const auto& region : cell.config.memory()) {
            look_at_region(cell, region);
        }
        out_ << "putc " << hypercall(*hypervisor().cpus[cell.cpus.next()], JH_HC_CONSOLE_PUTC, 'x', 0) << "\n";
    }

    /// A console that says "x" over registers that were all zero, or all ones where that means ready.
    void look(const jh_console& console) {
        std::vector<uint8_t> registers(0x40, console.type == JH_CONSOLE_8250 ? 0xff : 0);
        const Uart uart(console, registers.data());
        uart.put('x');
        bytes(registers.data(), registers.size());
    }

    void note(const char* what, int64_t value) { out_ << what << " " << value << "\n"; }

    std::string text() {
        for (const auto& [at, page] : machine_.pages) {
            out_ << "page " << at;
            bytes(page.data(), (at & ~uint64_t{0xfff}) == page_down(place_of_config) ? 0 : page.size());
        }
        out_ << machine_.asked << machine_.console() << "clock " << machine_.clock;
        return out_.str();
    }

  private:
    void bytes(const uint8_t* from, size_t size) {
        for (size_t at = 0; at < size; ++at) {
            out_ << " " << int{from[at]};
        }
        out_ << "\n";
    }

    void touch(Cell& cell, uint64_t address, unsigned size, bool write, uint64_t value) {
        MmioAccess access{address, size, write, value};
        MmioResult result = vpci_access(cell, access);
        if (result == MmioResult::unclaimed) {
            result = subpage_access(cell, access);
        }
        out_ << static_cast<int>(result) << ":" << access.value << " ";
    }

    void look_at_bus(Cell& cell) {
        constexpr uint64_t base = 0x0f000000;
        for (uint64_t function = 0; function < 256; ++function) {
            touch(cell, base + (function << 12), 4, false, 0);
        }
        touch(cell, base + (uint64_t{1} << 20), 4, false, 0); // the next bus
        for (const auto& device : cell.config.pci_devices()) {
            const uint64_t config = base + (uint64_t{device.bdf} << 12);
            touch(cell, config + 0x10, 4, true, 0xffffffff);
            for (uint64_t reg = 0; reg < 0x80; reg += 4) {
                touch(cell, config + reg, 4, false, 0);
            }
            touch(cell, config + 4, 4, true, 6);
            touch(cell, config + 0x10, 4, true, 0x10000000);
            for (uint64_t reg = 0; reg < 0x14; reg += 4) {
                touch(cell, 0x10000000 + reg, 4, true, 1);
            }
        }
        for (const uint32_t interrupt : machine_.raised) {
            out_ << "raised " << interrupt << " ";
        }
    }

    void look_at_region(Cell& cell, const jh_memory& region) {
        for (const unsigned size : {1u, 2u, 4u, 8u}) {
            for (uint64_t offset = 0; offset < 0x1000; offset = offset < 0x10 ? offset + 1 : offset * 2) {
                touch(cell, 0x90000000 + offset, size, false, 0);
                touch(cell, region.virt_start + region.size - offset, size, true, offset);
            }
        }
    }

    FakeMachine& machine_;
    std::ostringstream out_;
};

/// A cell's life from its config on. `refusal`: what was said when it could not be created.
std::string life_of_cell(const std::vector<uint8_t>& config, std::string& refusal) {
    FakeMachine machine;
    for (uint32_t cpu = 1; cpu < 4; ++cpu) {
        FakeMachine::offline(cpu);
    }
    machine.write(place_of_config, config);
    Behaviour behaviour(machine);
    machine.asked.clear();
    const int error = finish(cell_create, GuestAddr{place_of_config});
    if (error != 0) {
        refusal = machine.console();
        EXPECT_NE(refusal.find("refused"), std::string::npos) << error;
        return {};
    }
    Cell& cell = *hypervisor().root.next;
    const uint32_t id = cell.id;
    behaviour.note("loadable", finish(cell_set_loadable, id));
    behaviour.note("started", finish(cell_start, id));
    for (const auto* cpu : hypervisor().cpus) {
        behaviour.note("start address", cpu == nullptr ? -1 : static_cast<int64_t>(cpu->start_address));
    }
    behaviour.look(cell);
    behaviour.look(hypervisor().root);
    const uint64_t asked_at = machine.clock;
    machine.on_relax = [&] { // a cell that takes its time
        if (machine.clock > asked_at + 40) {
            cell.comm->generic.reply_from_cell = JH_REPLY_REQUEST_APPROVED;
        }
    };
    behaviour.note("destroyed", finish(cell_destroy, id));
    return behaviour.text();
}

ConfigBuilder every_array() {
    ConfigBuilder config("walked", 1, 0x2);
    config.cell.vpci_irq_base = 130; // not among the irqchip's
    config.cell.msg_reply_timeout = 5;
    config.cell.console = {0x09000000, 0x1000, JH_CONSOLE_PL011, JH_CONSOLE_MMIO, 0, 0, 0};
    config.memory = {ram(0x70000000, 0, 0x10000, JH_MEM_LOADABLE),
                     {0, 0x80000000, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_COMM_REGION}};
    add_link(config, 0x7fa00000, 1, 0);
    config.memory.push_back({0x78000100, 0x90000100, 0x100, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_IO | JH_MEM_IO_32});
    config.memory.push_back({0x79000000, 0x91000000, 0x1000, JH_MEM_READ | JH_MEM_IO});
    config.memory.push_back({0x7a000000, 0x92000000, 0, JH_MEM_READ});
    config.irqchips = {{0x08000000, 0, 32, {1u << 5, 0, 0, 0}}};
    return config;
}

/// A machine enabled with a system config, and what its root cell finds.
std::string life_of_system(const std::vector<uint8_t>& config, std::string& refusal) {
    FakeMachine machine(config);
    if (machine.error != 0) {
        refusal = machine.console();
        EXPECT_NE(refusal.find("refused"), std::string::npos) << machine.error;
        return {};
    }
    Behaviour behaviour(machine);
    behaviour.look(hypervisor().system->debug_console);
    behaviour.look(hypervisor().root);
    ConfigBuilder cell("guest", 1, 0x2);
    cell.memory = {ram(0x70000000, 0, 0x10000),
                   {0, 0x80000000, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_COMM_REGION}};
    behaviour.note("created", machine.create(cell));
    if (Cell* made = hypervisor().root.next; made != nullptr) {
        behaviour.look(*made);
        made->comm->generic.cell_state = JH_CELL_SHUT_DOWN;
        behaviour.note("destroyed", finish(cell_destroy, made->id));
    }
    return behaviour.text();
}

using Flags = std::map<size_t, std::string>;
const Flags memory_flags = {{0, "READ"},         {1, "WRITE"},         {2, "EXECUTE"},  {3, "DMA"},
                            {4, "IO"},           {5, "COMM_REGION"},   {6, "LOADABLE"}, {7, "ROOTSHARED"},
                            {8, "NO_HUGEPAGES"}, {15, "IO_UNALIGNED"}, {16, "IO_8"},    {17, "IO_16"},
                            {18, "IO_32"},       {19, "IO_64"}};
/// The flags of those parts in which they differ in what they do.
const std::map<std::string, Flags> flags_of = {
    {"memory", memory_flags},
    {"root memory", memory_flags},
    {"ROOTSHARED memory", memory_flags},
    {"sub-page memory", memory_flags},
    {"COMM_REGION", memory_flags},
    {"debug_console", {{0, "MMIO"}, {1, "REGDIST_4"}, {12, "INVERTED_GATE"}}},
    {"root cell", {{0, "PASSIVE_COMMREG"}, {30, "VIRTUAL_CONSOLE_PERMITTED"}, {31, "VIRTUAL_CONSOLE_ACTIVE"}}},
    {"system", {{0, "VIRTUAL_CONSOLE"}}},
};

using Life = std::string (*)(const std::vector<uint8_t>&, std::string&);

/// Walks the bits of a config and collects, by field, those that did nothing.
class Walk {
  public:
    Walk(const std::vector<uint8_t>& config, Life life) : config_(config), life_(life) {
        std::string refusal;
        good_ = life(config, refusal);
        EXPECT_EQ(refusal, "");
    }

    void all(const std::vector<Part>& parts) {
        for (const auto& part : parts) {
            size_t at = part.offset;
            for (const auto& field : part.fields) {
                for (size_t bit = 0; bit < field.size * 8; ++bit) {
                    flip(part, field, at, bit);
                }
                at += field.size;
            }
        }
    }

    std::set<std::string> without_effect; ///< "part: field"
    size_t refused = 0;
    size_t noticed = 0;

  private:
    void flip(const Part& part, const Field& field, size_t at, size_t bit) {
        std::vector<uint8_t> config = config_;
        config[at + bit / 8] = static_cast<uint8_t>(config[at + bit / 8] ^ (1u << (bit % 8)));
        std::string refusal;
        const std::string life = life_(config, refusal);
        const std::string name = part.name + ": " + name_of(part.name, field, at, bit);
        if (!refusal.empty()) {
            ++refused;
            EXPECT_TRUE(names(refusal, field)) << name << ", bit " << bit << ": " << refusal;
        } else if (life == good_) {
            without_effect.insert(name);
        } else {
            ++noticed;
        }
    }

    /// Of a field whose bits or bytes are different things: the flag, or which part of the name.
    [[nodiscard]] std::string name_of(const std::string& part, const Field& field, size_t at, size_t bit) const {
        if (std::string_view(field.name) == "flags") {
            const auto flags = flags_of.find(part);
            return flags != flags_of.end() && flags->second.contains(bit) ? flags->second.at(bit) : "flags";
        }
        const auto end = config_.begin() + static_cast<std::ptrdiff_t>(at + bit / 8);
        const bool behind_end = std::find(config_.begin() + static_cast<std::ptrdiff_t>(at), end, 0) != end;
        return std::string_view(field.name) == "name" && behind_end ? "name behind its NUL" : field.name;
    }

    static bool names(const std::string& refusal, const Field& field) {
        for (const char* word : field.words) {
            if (refusal.find(word) != std::string::npos) {
                return true;
            }
        }
        return field.words.empty() && refusal.find(field.name) != std::string::npos;
    }

    std::vector<uint8_t> config_;
    Life life_;
    std::string good_;
};

/// What arch/arm64 makes of the config by itself (launch.cpp, gic.cpp): the fake machine has nothing of it. The system
/// tests boot with it.
const std::set<std::string> of_the_architecture = {"debug_console: address", "debug_console: size",
                                                   "platform.arm: maintenance_irq", "system: VIRTUAL_CONSOLE"};

std::set<std::string> ignored_in_a_cell() {
    const std::vector<uint8_t> config = every_array().bytes();
    const auto parts = cell_parts(*reinterpret_cast<const jh_cell*>(config.data()), 0, "");
    expect_whole(parts, config.size());
    Walk walk(config, life_of_cell);
    walk.all(parts);
    EXPECT_GT(walk.refused, 0u);
    EXPECT_GT(walk.noticed, 0u);
    return walk.without_effect;
}

std::set<std::string> ignored_in_a_system() {
    std::vector<uint8_t> config = good_system();
    auto& system = *reinterpret_cast<jh_system*>(config.data());
    system.debug_console = {0x09000000, 0x1000, JH_CONSOLE_PL011, JH_CONSOLE_MMIO, 0, 0, 0};
    const auto parts = system_parts(system);
    expect_whole(parts, config.size());
    Walk walk(config, life_of_system);
    walk.all(parts);
    EXPECT_GT(walk.refused, 0u);
    EXPECT_GT(walk.noticed, 0u);
    std::set<std::string> ignored = walk.without_effect;
    for (const auto& name : of_the_architecture) {
        EXPECT_EQ(ignored.erase(name), 1u) << name;
    }
    return ignored;
}

TEST(GaolFields, WhatIsIgnoredIsWhatTheDocumentSays) {
    std::set<std::string> ignored = ignored_in_a_cell();
    ignored.merge(ignored_in_a_system());
    const std::set<std::string> documented = fields_without_effect();
    for (const auto& name : ignored) {
        EXPECT_TRUE(documented.contains(name)) << name << " is ignored, and docs/abi.md does not say so";
    }
    for (const auto& name : documented) {
        EXPECT_TRUE(ignored.contains(name)) << name << " has an effect, and docs/abi.md says that it has none";
    }
}

} // namespace
} // namespace gaol::test
