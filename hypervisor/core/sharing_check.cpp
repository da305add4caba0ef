// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/sharing_check.hpp"

#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/vpci.hpp"

namespace gaol {

namespace {

PhysRange range_of(const jh_memory& region) {
    return {PhysAddr{region.phys_start}, region.size};
}

const jh_memory& section_of(const CellConfig& config, const jh_pci_device& device, uint32_t section) {
    return config.memory()[device.shmem_regions_start + section];
}

/// Has the config an end of this id with this section? Two such ends are refused when they are connected.
bool owns_output(const CellConfig& config, const jh_memory& section, uint32_t id) {
    for (const auto& device : config.pci_devices()) {
        if (device.shmem_dev_id == id) {
            const jh_memory& own = section_of(config, device, 2 + id);
            if (own.phys_start == section.phys_start && own.size == section.size) {
                return true;
            }
        }
    }
    return false;
}

/// A region through which `writer` reaches a section that is not its to write: which one, and of what.
struct Trespass {
    bool found = false;
    uint32_t region = 0;
    uint32_t section = 0; ///< 0: state table, 2 and more: output of peer section - 2
    uint16_t bdf = 0;
};

Trespass into_section(const CellConfig& writer, const jh_memory& section) {
    for (uint32_t index = 0; index < writer.memory().size(); ++index) {
        const jh_memory& region = writer.memory()[index];
        if ((region.flags & JH_MEM_WRITE) != 0 && (region.flags & JH_MEM_COMM_REGION) == 0 &&
            range_of(region).overlaps(range_of(section))) {
            return {true, index};
        }
    }
    return {};
}

/// Into the state tables and the outputs of the ends that `linked` has. What belongs to a peer that nobody is yet is
/// nobody's: the end that takes it later is refused instead.
Trespass into_ends(const CellConfig& writer, const CellConfig& linked) {
    for (const auto& device : linked.pci_devices()) {
        for (const uint32_t number : {0u, 2u + device.shmem_dev_id}) {
            const jh_memory& section = section_of(linked, device, number);
            if (number != 0 && owns_output(writer, section, device.shmem_dev_id)) {
                continue;
            }
            if (Trespass trespass = into_section(writer, section); trespass.found) {
                trespass.section = number;
                trespass.bdf = device.bdf;
                return trespass;
            }
        }
    }
    return {};
}

bool same_link(const CellConfig& one, const jh_pci_device& end, const CellConfig& other, const jh_pci_device& far_end) {
    bool same = end.bdf == far_end.bdf && end.shmem_peers == far_end.shmem_peers;
    for (uint32_t number = 0; same && number < 2u + end.shmem_peers; ++number) {
        const jh_memory& section = section_of(one, end, number);
        const jh_memory& far_section = section_of(other, far_end, number);
        same = section.size == far_section.size && (section.size == 0 || section.phys_start == far_section.phys_start);
    }
    return same;
}

/// An end over the state table of a link that it is no end of: the hypervisor would write its state there.
const jh_pci_device* misfit(const CellConfig& config, const CellConfig& other, const jh_pci_device*& far_end) {
    for (const auto& device : config.pci_devices()) {
        for (const auto& candidate : other.pci_devices()) {
            const PhysRange far_table = range_of(section_of(other, candidate, 0));
            if (range_of(section_of(config, device, 0)).overlaps(far_table) &&
                !same_link(config, device, other, candidate)) {
                far_end = &candidate;
                return &device;
            }
        }
    }
    return nullptr;
}

Text& operator<<(Text& out, const Trespass& trespass) {
    if (trespass.section == 0) {
        out << "the state table";
    } else {
        out << "the output section of peer " << trespass.section - 2;
    }
    return out << " of device " << PciName{trespass.bdf};
}

/// A region of `shared`, a cell that exists, that the config would take for itself; its index, or none.
constexpr uint32_t none = ~0u;
uint32_t taken_away(const CellConfig& config, const CellConfig& shared) {
    for (uint32_t index = 0; index < config.memory().size(); ++index) {
        const jh_memory& region = config.memory()[index];
        if ((region.flags & (JH_MEM_ROOTSHARED | JH_MEM_COMM_REGION)) != 0) {
            continue;
        }
        for (const auto& other : shared.memory()) {
            if ((other.flags & JH_MEM_COMM_REGION) == 0 && range_of(region).overlaps(range_of(other))) {
                return index;
            }
        }
    }
    return none;
}

int check_against(const CellConfig& config, const Cell& other) {
    const auto line = [&config](ConsoleOut& out) -> Text& {
        return out << "Config of cell \"" << config.name() << "\" refused: ";
    };
    if (const Trespass trespass = into_ends(config, other.config); trespass.found) {
        ConsoleOut out;
        line(out) << "memory region " << trespass.region << ": would write " << trespass << " of cell \""
                  << other.name() << "\"\n";
        return -JH_EINVAL;
    }
    const jh_pci_device* far_end = nullptr;
    if (const jh_pci_device* device = misfit(config, other.config, far_end); device != nullptr) {
        ConsoleOut out;
        line(out) << "device " << PciName{device->bdf} << " shares its state table with " << PciName{far_end->bdf}
                  << " of cell \"" << other.name() << "\", but bdf, shmem_peers or a section differ\n";
        return -JH_EINVAL;
    }
    if (other.is_root()) {
        return 0; // all is the root's before it is a cell's
    }
    if (const Trespass trespass = into_ends(other.config, config); trespass.found) {
        ConsoleOut out;
        line(out) << trespass << " could be written by cell \"" << other.name() << "\", by its memory region "
                  << trespass.region << '\n';
        return -JH_EBUSY;
    }
    if (const uint32_t index = taken_away(config, other.config); index != none) {
        ConsoleOut out;
        line(out) << "memory region " << index << ": phys_start 0x" << hex(config.memory()[index].phys_start)
                  << ": without ROOTSHARED, but cell \"" << other.name() << "\" reaches it\n";
        return -JH_EBUSY;
    }
    return 0;
}

} // namespace

int check_sharing(const CellConfig& config) {
    for (const Cell* other = &hypervisor().root; other != nullptr; other = other->next) {
        if (const int error = check_against(config, *other); error != 0) {
            return error;
        }
    }
    return 0;
}

} // namespace gaol
