// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/host/fake_machine.hpp"

#include "hypervisor/arch/arm64/page_table.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/config_check.hpp"
#include "hypervisor/core/management.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

namespace gaol {

namespace {

constexpr TableGeometry geometry{1, 40};
constexpr uint64_t attribute_write = 1u << 7;
constexpr uint64_t attribute_io = 1u << 2;

test::FakeMachine* current = nullptr;
uint8_t* arena = nullptr;
gaol_console ring;
Cpu cpus[4];
alignas(Hypervisor) unsigned char storage[sizeof(Hypervisor)];

PageTable table(const Cell& cell) {
    return {geometry, hypervisor().pool, cell.stage2, nullptr, nullptr};
}

} // namespace

Hypervisor& hypervisor() {
    return *std::launder(reinterpret_cast<Hypervisor*>(storage));
}

namespace test {

FakeMachine& machine() {
    return *current;
}

ConfigBuilder::ConfigBuilder(const std::string& name, uint32_t id, uint8_t cpu_mask) : cpus{cpu_mask} {
    std::memcpy(cell.signature, JH_CELL_SIGNATURE, JH_SIGNATURE_SIZE);
    cell.architecture = JH_ARCH_ARM64;
    cell.revision = JH_CONFIG_REVISION;
    std::memcpy(cell.name, name.data(), name.size() < JH_CELL_NAME_SIZE ? name.size() : JH_CELL_NAME_SIZE);
    cell.id = id;
}

namespace {
template <typename T> void append(std::vector<uint8_t>& bytes, const T& object) {
    const auto* raw = reinterpret_cast<const uint8_t*>(&object);
    bytes.insert(bytes.end(), raw, raw + sizeof(object));
}
template <typename T> void append_all(std::vector<uint8_t>& bytes, const std::vector<T>& objects) {
    for (const auto& object : objects) {
        append(bytes, object);
    }
}
} // namespace

std::vector<uint8_t> ConfigBuilder::bytes() const {
    jh_cell counted = cell;
    counted.cpu_set_size = static_cast<uint32_t>(cpus.size());
    counted.num_memory_regions = static_cast<uint32_t>(memory.size());
    counted.num_irqchips = static_cast<uint32_t>(irqchips.size());
    counted.num_pci_devices = static_cast<uint32_t>(devices.size());
    std::vector<uint8_t> result;
    append(result, counted);
    append_all(result, cpus);
    append_all(result, memory);
    append_all(result, irqchips);
    append_all(result, devices);
    return result;
}

jh_memory ram(uint64_t phys, uint64_t virt, uint64_t size, uint64_t extra) {
    return {phys, virt, size, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_EXECUTE | extra};
}

void add_link(ConfigBuilder& config, uint64_t base, uint8_t id, uint16_t bdf) {
    jh_pci_device device = {};
    device.type = JH_PCI_IVSHMEM;
    device.domain = 1;
    device.bdf = bdf;
    device.bar_mask[0] = 0xfffff000;
    device.shmem_regions_start = static_cast<uint32_t>(config.memory.size());
    device.shmem_dev_id = id;
    device.shmem_peers = 2;
    device.shmem_protocol = JH_SHMEM_PROTO_CUSTOM;
    config.devices.push_back(device);
    const uint64_t own = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_ROOTSHARED;
    const uint64_t other = JH_MEM_READ | JH_MEM_ROOTSHARED;
    config.memory.push_back({base, base, 0x1000, other});
    config.memory.push_back({base + 0x1000, base + 0x1000, 0x2000, own});
    config.memory.push_back({base + 0x3000, base + 0x3000, 0x1000, id == 0 ? own : other});
    config.memory.push_back({base + 0x4000, base + 0x4000, 0x1000, id == 1 ? own : other});
}

std::vector<uint8_t> good_system() {
    ConfigBuilder root("root", 0, 0xf);
    root.cell.vpci_irq_base = 96;
    root.memory = {ram(0x40000000, 0x40000000, 0x3fa00000)};
    add_link(root, 0x7fa00000, 0, 0);
    jh_system system = {};
    std::memcpy(system.signature, JH_SYSTEM_SIGNATURE, JH_SIGNATURE_SIZE);
    system.architecture = JH_ARCH_ARM64;
    system.revision = JH_CONFIG_REVISION;
    system.hypervisor_memory = {hypervisor_base, hypervisor_base, hypervisor_size, 0};
    system.platform.pci_mmconfig_base = 0x0f000000;
    system.platform.pci_is_virtual = 1;
    system.platform.pci_domain = 1;
    system.platform.arm.gic_version = 3;
    system.platform.arm.maintenance_irq = 25;
    system.platform.arm.gicd_base = 0x08000000;
    system.platform.arm.gicr_base = 0x080a0000;
    std::vector<uint8_t> bytes;
    append(bytes, system);
    bytes.resize(offsetof(jh_system, root_cell));
    const auto tail = root.bytes();
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    return bytes;
}

namespace {
/// What launch.cpp does with a system config.
int enable(const std::vector<uint8_t>& bytes) {
    Hypervisor& hv = hypervisor();
    CpuSet online;
    for (const auto& cpu : cpus) {
        online.set(cpu.id);
    }
    int error = check_platform(*hv.system, bytes.size(), hv.memory);
    error = error != 0 ? error : check_root(*hv.system, bytes.size(), online);
    return error != 0 ? error : root_create();
}
} // namespace

FakeMachine::FakeMachine() : FakeMachine(good_system()) {
    if (error != 0) {
        std::abort();
    }
    console();
}

FakeMachine::FakeMachine(const std::vector<uint8_t>& system) : system_(system) {
    current = this;
    arena = static_cast<uint8_t*>(std::aligned_alloc(page_size, hypervisor_size));
    std::memset(&ring, 0, sizeof(ring));
    new (storage) Hypervisor;
    Hypervisor& hv = hypervisor();
    hv.memory = {PhysAddr{hypervisor_base}, hypervisor_size};
    hv.pool.init(PhysAddr{hypervisor_base}, hypervisor_size);
    hv.console.open(Uart(), &ring);
    for (uint32_t id = 0; id < 4; ++id) {
        cpus[id].~Cpu();
        new (&cpus[id]) Cpu;
        cpus[id].id = id;
        cpus[id].affinity = id;
        hv.cpus[id] = &cpus[id];
    }
    system_.reserve(1); // the loader hands over a pointer also where there is nothing behind it
    hv.system = reinterpret_cast<const jh_system*>(system_.data());
    error = enable(system_);
}

FakeMachine::~FakeMachine() {
    hypervisor().~Hypervisor();
    std::free(arena);
    arena = nullptr;
    current = nullptr;
}

std::vector<uint8_t>& FakeMachine::page(uint64_t phys) {
    auto& bytes = pages[page_down(phys)];
    bytes.resize(page_size);
    return bytes;
}

void FakeMachine::write(uint64_t phys, const std::vector<uint8_t>& bytes) {
    for (size_t index = 0; index < bytes.size(); ++index) {
        page(phys + index)[(phys + index) & page_mask] = bytes[index];
    }
}

uint32_t FakeMachine::read32(uint64_t phys) {
    uint32_t value = 0;
    std::memcpy(&value, &page(phys)[phys & page_mask], sizeof(value));
    return value;
}

void FakeMachine::offline(uint32_t cpu) {
    hypervisor().cpus[cpu]->state = CpuState::off;
}

int FakeMachine::create(const ConfigBuilder& config) {
    constexpr uint64_t place = 0x48000123; // neither page nor word aligned
    write(place, config.bytes());
    for (uint32_t cpu = 0; cpu < 4; ++cpu) {
        if (!config.cpus.empty() && (config.cpus[0] >> cpu & 1) != 0 && hypervisor().root.cpus.test(cpu)) {
            offline(cpu);
        }
    }
    return finish(cell_create, GuestAddr{place});
}

uint64_t FakeMachine::translate(const Cell& cell, uint64_t guest) {
    const auto leaf = table(cell).find(guest);
    return leaf.valid ? leaf.target : ~uint64_t{0};
}

bool FakeMachine::writable(const Cell& cell, uint64_t guest) {
    const auto leaf = table(cell).find(guest);
    return leaf.valid && (leaf.attributes & attribute_write) != 0;
}

std::string FakeMachine::console() {
    std::string text;
    for (; console_read_ < ring.written; ++console_read_) {
        text += ring.ring[console_read_ % GAOL_CONSOLE_RING_SIZE];
    }
    return text;
}

} // namespace test

namespace {
/// Adds a line to the record of what the core asked for.
template <typename... Numbers> void record(const char* what, const Cell& cell, Numbers... numbers) {
    current->asked += std::string(what) + " " + std::string(cell.name());
    ((current->asked += " " + std::to_string(numbers)), ...);
    current->asked += "\n";
}

void record_interrupts(const char* what, const InterruptSet& interrupts, const Cell& cell) {
    for (size_t bit = interrupts.next(); bit < max_interrupts; bit = interrupts.next(bit + 1)) {
        record(what, cell, bit);
    }
}
} // namespace

namespace arch {

void relax() {
    ++current->clock;
    for (auto& cpu : cpus) {
        cpu.suspended = cpu.suspend.load();
        if (cpu.turn_off.exchange(false)) {
            cpu.state = CpuState::off;
        }
        if (!cpu.suspend && cpu.start.exchange(false)) {
            cpu.state = CpuState::running;
        }
    }
    if (current->on_relax) {
        current->on_relax();
    }
}

uint64_t microseconds() {
    return current->clock;
}
void kick(Cpu&) {}
uint32_t this_cpu_id() {
    return 0;
}
void* pool_pointer(PhysAddr address) {
    return arena + (address.value - test::hypervisor_base);
}
PhysAddr pool_address(const void* pointer) {
    return PhysAddr{test::hypervisor_base + static_cast<uint64_t>(static_cast<const uint8_t*>(pointer) - arena)};
}

int stage2_create(Cell& cell) {
    cell.stage2 = PageTable::allocate_root(geometry, hypervisor().pool);
    return cell.stage2 == nullptr ? -JH_ENOMEM : 0;
}
void stage2_destroy(Cell& cell) {
    if (cell.stage2 != nullptr) {
        table(cell).destroy();
    }
}
int stage2_map(Cell& cell, GuestAddr guest, PhysAddr phys, uint64_t size, uint64_t flags, Tables tables) {
    constexpr uint64_t known = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_EXECUTE | JH_MEM_IO | JH_MEM_NO_HUGEPAGES;
    record("map", cell, guest.value, phys.value, size, flags & known);
    const uint64_t attributes =
        ((flags & JH_MEM_WRITE) != 0 ? attribute_write : 0) | ((flags & JH_MEM_IO) != 0 ? attribute_io : 0) | 1u << 10;
    return table(cell).map(guest.value, phys.value, size, attributes, tables);
}
int stage2_unmap(Cell& cell, GuestAddr guest, uint64_t size) {
    record("unmap", cell, guest.value, size);
    return table(cell).unmap(guest.value, size, Tables::kept);
}
void stage2_flush(const Cell&) {}

bool read_guest(const Cell& cell, GuestAddr from, void* to, size_t size) {
    for (size_t index = 0; index < size; ++index) {
        const auto leaf = table(cell).find(from.value + index);
        if (!leaf.valid || (leaf.attributes & attribute_io) != 0) {
            return false;
        }
        static_cast<uint8_t*>(to)[index] = current->page(leaf.target)[leaf.target & page_mask];
    }
    return true;
}

bool write_physical(PhysAddr address, uint32_t value) {
    if (current->absent(address.value)) {
        return false;
    }
    std::memcpy(&current->page(address.value)[address.value & page_mask], &value, sizeof(value));
    return true;
}
void clean_invalidate(PhysRange range) {
    test::Cleaned cleaned{range, table(hypervisor().root).find(range.start.value).valid, {}, {}};
    for (const auto& cpu : cpus) {
        if (cpu.suspend) {
            cleaned.held.set(cpu.id);
        }
        if (!cpu.cell->is_root() && cpu.state == CpuState::running) {
            cleaned.running.set(cpu.id);
        }
    }
    current->cleaned.push_back(cleaned);
}
void clean_invalidate_object(const void*, size_t) {}
bool device_read(PhysAddr address, unsigned size, uint64_t& value) {
    if (current->absent(address.value)) {
        return false;
    }
    value = 0;
    std::memcpy(&value, &current->page(address.value)[address.value & page_mask], size);
    return true;
}
bool device_write(PhysAddr address, uint64_t value, unsigned size) {
    if (current->absent(address.value)) {
        return false;
    }
    std::memcpy(&current->page(address.value)[address.value & page_mask], &value, size);
    return true;
}

uint32_t interrupt_limit() {
    return 256;
}
void interrupts_assign(const InterruptSet& interrupts, const Cell& cell) {
    record_interrupts("assign", interrupts, cell);
}
void interrupts_reroute(const InterruptSet& interrupts, const Cell& cell) {
    record_interrupts("reroute", interrupts, cell);
}
void interrupt_raise(uint32_t interrupt) {
    current->raised.push_back(interrupt);
}
bool reserved_for_hypervisor(PhysRange range) {
    return range.overlaps({PhysAddr{0x08000000}, 0x10000}) || range.overlaps({PhysAddr{0x080a0000}, 0x80000});
}
unsigned address_bits() {
    return geometry.address_bits;
}

} // namespace arch
} // namespace gaol
