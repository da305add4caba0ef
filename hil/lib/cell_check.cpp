// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/cell_check.hpp"

#include <algorithm>

#include "hil/lib/cell_rules.hpp"

namespace hil {
namespace {

std::string trap_text(const PredictedTrap& trap, bool arm) {
    const uint64_t likely = trap.likely.value_or(trap.addresses.start);
    const std::string address = hex_text(likely);
    const std::string cpu = trap.cpu ? std::to_string(*trap.cpu) : "<n>";
    const std::string park = "Parking CPU " + cpu + " (Cell: \"" + trap.cell + "\")";
    if (trap.kind == PredictedTrap::Kind::instruction) {
        return arm ? "FATAL: instruction abort at " + address + " / FATAL: forbidden access (exception class 0x20) … " +
                         park
                   : "FATAL: Invalid MMIO/RAM read, addr: " + hex_text(likely, 16) + " … " + park;
    }
    const std::string access = trap.kind == PredictedTrap::Kind::data_read ? "read" : "write";
    return arm ? "Unhandled data " + access + " at " + address + "(" + std::to_string(trap.size) +
                     ") / FATAL: unhandled trap (exception class 0x24) … " + park
               : "FATAL: Invalid MMIO/RAM " + access + ", addr: " + hex_text(likely, 16) +
                     " size: " + std::to_string(trap.size) + " … " + park;
}

/// The same region found by the same rule twice says nothing new.
void drop_repeated(std::vector<Finding>& findings) {
    std::vector<Finding> kept;
    for (Finding& finding : findings) {
        const bool repeated = std::any_of(kept.begin(), kept.end(), [&finding](const Finding& earlier) {
            return earlier.rule == finding.rule && earlier.file == finding.file && earlier.region == finding.region &&
                   earlier.message == finding.message;
        });
        if (!repeated) {
            kept.push_back(std::move(finding));
        }
    }
    findings = std::move(kept);
}

} // namespace

std::string CheckedCell::name() const {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : config().name()) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            text += c;
        } else {
            text += {'\\', 'x', digits[byte >> 4], digits[byte & 0xf]};
        }
    }
    return text;
}

std::string CheckedCell::region_name(size_t index) const {
    const auto& names = file_->named.names.memory;
    return index < names.size() && !names[index].empty() ? names[index] : std::to_string(index);
}

std::string CheckedCell::region_text(size_t index) const {
    return "memory region \"" + region_name(index) + "\"";
}

std::string CheckedCell::device_text(size_t index) const {
    const auto& names = file_->named.names.pci_devices;
    const bool named = index < names.size() && !names[index].empty();
    return "pci device \"" + (named ? names[index] : bdf_text(config().pci_devices[index].bdf)) + "\"";
}

std::vector<uint32_t> CheckedCell::interrupts() const {
    std::vector<uint32_t> ids;
    for (const jh_irqchip& chip : config().irqchips) {
        for (uint32_t pin = 0; pin < sizeof(chip.pin_bitmap) * 8; ++pin) {
            if ((chip.pin_bitmap[pin / 32] >> pin % 32 & 1) != 0) {
                ids.push_back(chip.pin_base + pin);
            }
        }
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::vector<AddressRange> CheckedCell::unmapped(const AddressRange& range, uint64_t flags) const {
    std::vector<AddressRange> mapped;
    for (const jh_memory& region : memory()) {
        if ((region.flags & flags) == flags) {
            mapped.push_back(virtual_range(region));
        }
    }
    return subtract(range, mapped);
}

std::optional<size_t> CheckedCell::region_at(uint64_t address) const {
    for (size_t index = 0; index < memory().size(); ++index) {
        if (virtual_range(memory()[index]).contains(address)) {
            return index;
        }
    }
    return std::nullopt;
}

CellCheck::CellCheck(const CheckInput& input) : root_(input.system), board_(&input.board), image_(&input.image) {
    for (const CellFile& file : input.cells) {
        cells_.emplace_back(file);
    }
}

std::vector<const CheckedCell*> CellCheck::all() const {
    std::vector<const CheckedCell*> everyone{&root_};
    for (const CheckedCell& cell : cells_) {
        everyone.push_back(&cell);
    }
    return everyone;
}

void CellCheck::add(FindingSeverity severity, std::string rule, const CheckedCell& cell, std::string region,
                    std::string message, std::string console, std::string fix) {
    findings_.push_back({severity, std::move(rule), cell.file(), std::move(region), std::move(message),
                         std::move(console), std::move(fix), std::nullopt});
}

void CellCheck::add_trap(FindingSeverity severity, std::string rule, const CheckedCell& cell, std::string region,
                         std::string message, PredictedTrap trap, std::string fix) {
    std::string console = trap_text(trap, cell.is_arm());
    findings_.push_back({severity, std::move(rule), cell.file(), std::move(region), std::move(message),
                         std::move(console), std::move(fix), std::move(trap)});
}

std::vector<AddressRange> not_of_root(const CellCheck& check, const AddressRange& range, uint64_t flags) {
    std::vector<AddressRange> mapped;
    for (const jh_memory& region : check.root().memory()) {
        if ((region.flags & flags) == flags) {
            mapped.push_back(physical_range(region));
        }
    }
    return subtract(range, mapped);
}

std::optional<std::vector<ShmemSection>> shmem_sections(const CheckedCell& cell, const jh_pci_device& device) {
    std::vector<ShmemSection> sections;
    const uint64_t count = uint64_t{2} + device.shmem_peers;
    for (uint64_t offset = 0; offset < count; ++offset) {
        const uint64_t index = device.shmem_regions_start + offset;
        if (index >= cell.memory().size()) {
            return std::nullopt;
        }
        sections.push_back({static_cast<size_t>(index), cell.memory()[index]});
    }
    return sections;
}

std::vector<Finding> check_cells(const CheckInput& input) {
    CellCheck check(input);
    check_identity(check);
    if (input.system.named.config.is_system()) {
        check_platform(check);
        check_cpus(check);
        check_regions(check);
        check_ownership(check);
        check_loading(check);
        check_console(check);
        check_devices(check);
        check_shmem(check);
        check_pci(check);
        check_interrupts(check);
    }
    std::vector<Finding> findings = check.take();
    drop_repeated(findings);
    std::stable_sort(findings.begin(), findings.end(),
                     [](const Finding& left, const Finding& right) { return left.severity < right.severity; });
    return findings;
}

std::string_view severity_name(FindingSeverity severity) {
    switch (severity) {
    case FindingSeverity::error:
        return "error";
    case FindingSeverity::warning:
        return "warning";
    default:
        return "note";
    }
}

std::string finding_text(const Finding& finding) {
    std::string text = finding.file + ": " + std::string(severity_name(finding.severity)) + ": " + finding.region +
                       ": " + finding.message + " [" + finding.rule + "]\n";
    if (!finding.console.empty()) {
        text += "    console: " + finding.console + "\n";
    }
    if (!finding.fix.empty()) {
        text += "    fix: " + finding.fix + "\n";
    }
    return text;
}

} // namespace hil
