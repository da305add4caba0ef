// SPDX-License-Identifier: Apache-2.0
// Rules about ivshmem: each device's sections, and whether the peers of a link agree.
#include <algorithm>
#include <map>

#include "hil/lib/cell_rules.hpp"

namespace hil {
namespace {

using Kind = PredictedTrap::Kind;
constexpr auto error = FindingSeverity::error;
constexpr auto warning = FindingSeverity::warning;
constexpr auto note = FindingSeverity::note;

constexpr uint32_t registers_bar = 0xfffff000; // one page
constexpr unsigned spi_base = 32;
constexpr unsigned pins = 4; // INTA to INTD
constexpr unsigned word = 4;

/// An ivshmem device with its place in the input.
struct Peer {
    const CheckedCell* cell;
    size_t device_index;
    jh_pci_device device;
    std::vector<ShmemSection> sections;

    [[nodiscard]] std::string text() const { return cell->device_text(device_index); }
    [[nodiscard]] AddressRange span() const {
        AddressRange all = physical_range(sections.front().memory);
        for (const ShmemSection& section : sections) {
            if (section.memory.size != 0) {
                all.start = std::min<uint64_t>(all.start, section.memory.phys_start);
                all.end = std::max<uint64_t>(all.end, physical_range(section.memory).end);
            }
        }
        return all;
    }
};

std::string section_name(size_t offset) {
    return offset == 0   ? "state table"
           : offset == 1 ? "read/write section"
                         : "output section of peer " + std::to_string(offset - 2);
}

void check_rights(CellCheck& check, const Peer& peer) {
    for (size_t offset = 0; offset < peer.sections.size(); ++offset) {
        const ShmemSection& section = peer.sections[offset];
        if (section.memory.size == 0) {
            continue;
        }
        const bool writable = offset == 1 || offset == size_t{2} + peer.device.shmem_dev_id;
        const uint64_t rights = section.memory.flags & (JH_MEM_READ | JH_MEM_WRITE | JH_MEM_EXECUTE);
        const uint64_t expected = JH_MEM_READ | (writable ? JH_MEM_WRITE : 0u);
        const std::string place = peer.cell->region_text(section.index);
        const std::string what = "the " + section_name(offset) + " of " + peer.text() + " (peer " +
                                 std::to_string(peer.device.shmem_dev_id) + ")";
        if ((rights & expected) != expected) {
            const bool readable = (rights & JH_MEM_READ) != 0;
            PredictedTrap trap{readable ? Kind::data_write : Kind::data_read, virtual_range(section.memory), word,
                               peer.cell->name(), std::nullopt};
            check.add_trap(error, "shmem-rights", *peer.cell, place,
                           what + " is not " + (readable ? "writable" : "readable") + " for it", trap,
                           std::string("set flags: read") + (writable ? " write" : "") +
                               (peer.cell->is_root() ? "" : " root-shared"));
        } else if ((rights & ~expected) != 0) {
            check.add(warning, "shmem-rights", *peer.cell, place,
                      what + " is \"" + flags_to_text(rights, memory_flag_words()) + "\", more than \"" +
                          flags_to_text(expected, memory_flag_words()) + "\"",
                      "nothing; a peer can overwrite what is another's", "drop the surplus rights");
        }
    }
}

void check_layout(CellCheck& check, const Peer& peer) {
    const jh_memory& state = peer.sections[0].memory;
    if (state.size < uint64_t{peer.device.shmem_peers} * 4) {
        check.add(error, "shmem-sections", *peer.cell, peer.cell->region_text(peer.sections[0].index),
                  "a state table of " + std::to_string(state.size) + " bytes has no room for " +
                      std::to_string(peer.device.shmem_peers) + " peers",
                  "JAILHOUSE_CELL_CREATE: Invalid argument", "set size: 4K");
    }
    const uint64_t output_size = peer.sections.size() > 2 ? uint64_t{peer.sections[2].memory.size} : 0;
    uint64_t next = state.virt_start;
    for (size_t offset = 0; offset < peer.sections.size(); ++offset) {
        const jh_memory& section = peer.sections[offset].memory;
        const std::string place = peer.cell->region_text(peer.sections[offset].index);
        if (section.size != 0 && section.virt_start != next) {
            check.add(error, "shmem-layout", *peer.cell, place,
                      "the " + section_name(offset) + " is at " + hex_text(section.virt_start) +
                          ", a driver computes " + hex_text(next) + " from the sizes of the sections before it",
                      "nothing at create; the driver reads the wrong section or traps behind the last one",
                      "put state table, read/write section and output sections one behind the other");
            return;
        }
        if (offset > 2 && section.size != output_size) {
            check.add(error, "shmem-sections", *peer.cell, place,
                      "the " + section_name(offset) + " has " + size_text(section.size) + ", that of peer 0 has " +
                          size_text(output_size) + ": the device tells one size for all",
                      "JAILHOUSE_CELL_CREATE: Invalid argument", "make all output sections equally large");
        }
        next += section.size;
    }
}

/// What one device can get wrong by itself. Gives the peer when its sections are there.
std::optional<Peer> check_device(CellCheck& check, const CheckedCell& cell, size_t index) {
    const jh_pci_device& device = cell.config().pci_devices[index];
    const std::string place = cell.device_text(index);
    if (device.shmem_peers < 2 || device.shmem_dev_id >= device.shmem_peers) {
        check.add(error, "shmem-id", cell, place,
                  "peer id " + std::to_string(device.shmem_dev_id) + " of " + std::to_string(device.shmem_peers) +
                      " peers: a link has at least two, and ids count from 0",
                  "JAILHOUSE_CELL_CREATE: Invalid argument", "set peers to the number of peers and peer-id below it");
    }
    auto sections = shmem_sections(cell, device);
    if (!sections) {
        check.add(error, "shmem-regions", cell, place,
                  "needs " + std::to_string(2 + device.shmem_peers) + " memory regions from index " +
                      std::to_string(device.shmem_regions_start) + " on, the cell has " +
                      std::to_string(cell.memory().size()),
                  "JAILHOUSE_CELL_CREATE: Invalid argument",
                  "list state table, read/write section (size 0 if there is none) and one output section per peer, and "
                  "point first-region to the state table");
        return std::nullopt;
    }
    if (device.bar_mask[0] != registers_bar) {
        check.add(warning, "shmem-bars", cell, place,
                  "bar 0 has the mask " + hex_text(device.bar_mask[0]) + ", its registers take one page (0xfffff000)",
                  "the root's Linux refuses the BAR, or two devices share a page",
                  "delete the key bars: the default fits");
    }
    if (cell.is_arm() && device.num_msix_vectors != 0) {
        check.add(warning, "shmem-msix", cell, place, "MSI-X vectors on arm, where ivshmem devices have INTx only",
                  "nothing; a doorbell with a vector above 0 is dropped", "set msix-vectors: 0");
    }
    return Peer{&cell, index, device, std::move(*sections)};
}

/// A doorbell reaches a cell as the interrupt vpci_irq_base + slot, which the cell must own.
void check_doorbell(CellCheck& check, const Peer& peer) {
    if (!peer.cell->is_arm()) {
        return;
    }
    const unsigned slot = peer.device.bdf >> 3 & 0x1f;
    if (slot >= pins) {
        check.add(warning, "shmem-slot", *peer.cell, peer.text(),
                  "slot " + std::to_string(slot) + ": the four pins INTA to INTD serve slots 0 to 3", "nothing",
                  "use a bdf of slot 0 to 3");
    }
    const uint32_t interrupt = peer.cell->config().cell.vpci_irq_base + slot % pins + spi_base;
    const auto owned = peer.cell->interrupts();
    if (!std::binary_search(owned.begin(), owned.end(), interrupt)) {
        check.add(error, "shmem-irq-missing", *peer.cell, peer.text(),
                  "its doorbell is interrupt " + std::to_string(interrupt) + " (vpci-irq-base " +
                      std::to_string(peer.cell->config().cell.vpci_irq_base) + " + slot " + std::to_string(slot) +
                      " + 32), which no irqchip entry gives to the cell",
                  "nothing: doorbells never arrive",
                  "add " + std::to_string(interrupt) + " to interrupts of an irqchips entry");
    }
}

void compare(CellCheck& check, const Peer& first, const Peer& second) {
    const std::string other = first.text() + " of " + first.cell->file();
    if (first.device.shmem_peers != second.device.shmem_peers) {
        check.add(error, "shmem-peers", *second.cell, second.text(),
                  std::to_string(second.device.shmem_peers) + " peers, " + other + " says " +
                      std::to_string(first.device.shmem_peers),
                  "nothing at create; the peers see different numbers of output sections", "use one number in all");
    }
    if (first.device.shmem_dev_id == second.device.shmem_dev_id) {
        check.add(error, "shmem-id-twice", *second.cell, second.text(),
                  "peer id " + std::to_string(second.device.shmem_dev_id) + " is also that of " + other,
                  "JAILHOUSE_CELL_CREATE: Device or resource busy", "give each peer an id of its own");
    }
    if (first.device.shmem_protocol != second.device.shmem_protocol &&
        (first.device.shmem_protocol ^ second.device.shmem_protocol) !=
            (JH_SHMEM_PROTO_VIRTIO_BACK ^ JH_SHMEM_PROTO_VIRTIO_FRONT)) {
        check.add(warning, "shmem-protocol", *second.cell, second.text(),
                  "protocol " + word_or_number(second.device.shmem_protocol, shmem_protocol_words()) + ", " + other +
                      " says " + word_or_number(first.device.shmem_protocol, shmem_protocol_words()),
                  "nothing; the class code differs, so the driver of one side does not bind",
                  "use one protocol in all");
    }
    for (size_t offset = 0; offset < std::min(first.sections.size(), second.sections.size()); ++offset) {
        const AddressRange mine = physical_range(second.sections[offset].memory);
        const AddressRange theirs = physical_range(first.sections[offset].memory);
        if (mine != theirs && !(mine.empty() && theirs.empty())) {
            check.add(error, "shmem-sections", *second.cell, second.cell->region_text(second.sections[offset].index),
                      "the " + section_name(offset) + " is " + mine.text() + ", " + other + " has " + theirs.text(),
                      "nothing at create; the peers read and write different memory",
                      "use the same physical addresses and sizes, in the same order");
            return;
        }
    }
}

/// Sections that the root also has stay there only if they are marked.
void check_root_shared(CellCheck& check, const Peer& root, const Peer& peer) {
    for (const ShmemSection& section : peer.sections) {
        const AddressRange range = physical_range(section.memory);
        if (range.empty() || (section.memory.flags & JH_MEM_ROOTSHARED) != 0) {
            continue;
        }
        PredictedTrap trap{Kind::data_read, range, word, root.cell->name(), std::nullopt};
        check.add_trap(error, "shmem-not-root-shared", *peer.cell, peer.cell->region_text(section.index),
                       "is not root-shared: the root, a peer of the link, loses it when the cell is created", trap,
                       "add root-shared to its flags");
        return;
    }
}

void check_alone(CellCheck& check, const Peer& peer, const std::vector<Peer>& peers) {
    const bool met = std::any_of(peers.begin(), peers.end(), [&peer](const Peer& other) {
        return other.cell != peer.cell && other.span().overlaps(peer.span());
    });
    if (!met && !peer.cell->is_root()) {
        check.add(check.cells().size() == 1 ? note : warning, "shmem-alone", *peer.cell, peer.text(),
                  "no other config has a link in " + peer.span().text(),
                  "\"Shared memory connection established\" does not appear",
                  "give the root or another cell a device with the same sections");
    }
}

} // namespace

void check_shmem(CellCheck& check) {
    std::vector<Peer> peers;
    for (const CheckedCell* cell : check.all()) {
        for (size_t index = 0; index < cell->config().pci_devices.size(); ++index) {
            if (cell->config().pci_devices[index].type != JH_PCI_IVSHMEM) {
                continue;
            }
            if (auto peer = check_device(check, *cell, index)) {
                check_rights(check, *peer);
                check_layout(check, *peer);
                check_doorbell(check, *peer);
                peers.push_back(std::move(*peer));
            }
        }
    }
    for (size_t second = 0; second < peers.size(); ++second) {
        check_alone(check, peers[second], peers);
        for (size_t first = 0; first < second; ++first) {
            const bool same_link = peers[first].span().overlaps(peers[second].span());
            if (same_link && peers[first].cell != peers[second].cell) {
                compare(check, peers[first], peers[second]);
                if (peers[first].cell->is_root()) {
                    check_root_shared(check, peers[first], peers[second]);
                }
            } else if (same_link) {
                check.add(error, "shmem-overlap", *peers[second].cell, peers[second].text(),
                          "shares memory with " + peers[first].text() + " of the same cell",
                          "nothing; two links overwrite each other", "give each link memory of its own");
            }
        }
    }
}

} // namespace hil
