// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_advice.hpp"

#include "hil/lib/cell_names.hpp"
#include "hil/lib/cell_range.hpp"

#include <array>
#include <utility>

namespace hil {
namespace {

constexpr std::uint64_t nearby = 0x10000; // a region that ends this close before the address was meant for it

struct FlagName {
    std::uint64_t bit;
    const char* name;
};

constexpr std::array<FlagName, 14> c_flags{{
    {JH_MEM_READ, "READ"},
    {JH_MEM_WRITE, "WRITE"},
    {JH_MEM_EXECUTE, "EXECUTE"},
    {JH_MEM_DMA, "DMA"},
    {JH_MEM_IO, "IO"},
    {JH_MEM_COMM_REGION, "COMM_REGION"},
    {JH_MEM_LOADABLE, "LOADABLE"},
    {JH_MEM_ROOTSHARED, "ROOTSHARED"},
    {JH_MEM_NO_HUGEPAGES, "NO_HUGEPAGES"},
    {JH_MEM_IO_UNALIGNED, "IO_UNALIGNED"},
    {JH_MEM_IO_8, "IO_8"},
    {JH_MEM_IO_16, "IO_16"},
    {JH_MEM_IO_32, "IO_32"},
    {JH_MEM_IO_64, "IO_64"},
}};

std::string flags_as_c(std::uint64_t flags) {
    std::string text;
    for (const FlagName& flag : c_flags) {
        if ((flags & flag.bit) != 0) {
            text += (text.empty() ? "JAILHOUSE_MEM_" : " | JAILHOUSE_MEM_") + std::string(flag.name);
        }
    }
    return text;
}

void write_region(RegionAdvice& advice, const jh_memory& region, const std::string& name) {
    advice.yaml = "memory:\n  - name: " + name + "\n    physical: " + hex_text(region.phys_start, 8) +
                  "\n    virtual: " + hex_text(region.virt_start, 8) + "\n    size: " + hex_text(region.size) +
                  "\n    flags: " + flags_to_text(region.flags, memory_flag_words()) + "\n";
    advice.c = "/* " + name + " */ {\n\t.phys_start = " + hex_text(region.phys_start, 8) +
               ",\n\t.virt_start = " + hex_text(region.virt_start, 8) + ",\n\t.size = " + hex_text(region.size) +
               ",\n\t.flags = " + flags_as_c(region.flags) + ",\n},\n";
}

std::uint64_t io_width(const TrappedAccess& access) {
    const std::uint32_t size = access.size_known ? access.size : 4;
    return std::uint64_t{size} << JH_MEM_IO_WIDTH_SHIFT;
}

jh_memory region_for(const TrappedAccess& access, const AdviceDevice& device) {
    jh_memory region{};
    if (access.execute) {
        region.phys_start = access.address & ~(cell_page_size - 1);
        region.size = cell_page_size;
        region.flags = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_EXECUTE | JH_MEM_LOADABLE;
    } else {
        region.phys_start = device.size != 0 ? device.address : access.address & ~(cell_page_size - 1);
        region.size = device.size != 0 ? device.size : cell_page_size;
        region.flags = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_IO | io_width(access);
        if (region.size % cell_page_size != 0 || region.phys_start % cell_page_size != 0) {
            region.flags |= JH_MEM_IO_32; // smaller than a page: each access goes through the hypervisor
        }
        region.flags |= device.shared_with_root ? JH_MEM_ROOTSHARED : 0;
    }
    region.virt_start = region.phys_start;
    return region;
}

std::string range_of(const jh_memory& region) {
    return virtual_range(region).text();
}

std::string nth(std::size_t index) {
    return "memory region " + std::to_string(index);
}

/// The region is there: what keeps the access out of it?
RegionAdvice advise_present(const jh_memory& region, std::size_t index, const TrappedAccess& access,
                            const AdviceDevice& device) {
    RegionAdvice advice;
    advice.region = index;
    jh_memory better = region;
    const std::uint64_t right = access.execute ? JH_MEM_EXECUTE : access.write ? JH_MEM_WRITE : JH_MEM_READ;
    const std::string where =
        nth(index) + " (" + range_of(region) + ", " + flags_to_text(region.flags, memory_flag_words()) + ")";
    const bool part_of_page = (region.size | region.phys_start) % cell_page_size != 0;
    if ((region.flags & right) == 0) {
        advice.finding = RegionAdvice::Finding::rights;
        better.flags |= right;
        advice.cause = where + " holds the address but does not allow to " +
                       (access.execute ? "execute"
                        : access.write ? "write"
                                       : "read") +
                       " there";
        advice.fix = "add the right to that region, if the cell is meant to have it";
    } else if (!access.execute && part_of_page && (region.flags & io_width(access)) == 0) {
        advice.finding = RegionAdvice::Finding::io_width;
        better.flags |= JH_MEM_IO | io_width(access);
        advice.cause = where + " holds the address, is smaller than a page, and does not allow accesses of " +
                       std::to_string(access.size_known ? access.size : 4) + " byte(s)";
        advice.fix = "add the IO width to that region";
    } else {
        advice.finding = RegionAdvice::Finding::covered;
        advice.cause = where + " allows the access";
        return advice;
    }
    write_region(advice, better, device.name);
    return advice;
}

} // namespace

std::string_view to_string(RegionAdvice::Finding finding) {
    switch (finding) {
    case RegionAdvice::Finding::absent:
        return "region-absent";
    case RegionAdvice::Finding::too_short:
        return "region-too-short";
    case RegionAdvice::Finding::rights:
        return "region-rights";
    case RegionAdvice::Finding::io_width:
        return "region-io-width";
    case RegionAdvice::Finding::covered:
        break;
    }
    return "other-config";
}

RegionAdvice with_root_shared(const jh_memory& region, const AdviceDevice& device) {
    RegionAdvice advice;
    jh_memory shared = region;
    shared.flags |= JH_MEM_ROOTSHARED;
    write_region(advice, shared, device.name);
    return advice;
}

RegionAdvice advise_region(const CellConfig* config, const TrappedAccess& access, const AdviceDevice& device) {
    RegionAdvice advice;
    const jh_memory* shorter = nullptr;
    if (config != nullptr) {
        for (std::size_t i = 0; i < config->memory.size(); ++i) {
            const jh_memory& region = config->memory[i];
            const AddressRange range = virtual_range(region);
            if (range.contains(access.address)) {
                return advise_present(region, i, access, device);
            }
            const bool meant = device.size != 0 ? range.overlaps(AddressRange::of(device.address, device.size))
                                                : access.address >= range.end && access.address - range.end < nearby;
            if (meant && !range.empty() && access.address >= range.end &&
                (shorter == nullptr || range.end > virtual_range(*shorter).end)) {
                shorter = &region;
                advice.region = i;
            }
        }
    }
    if (shorter != nullptr) {
        advice.finding = RegionAdvice::Finding::too_short;
        jh_memory better = *shorter;
        const std::uint64_t end = device.size != 0
                                      ? std::max(device.address + device.size, access.address + access.size)
                                      : (access.address | (cell_page_size - 1)) + 1;
        better.size = end - better.virt_start;
        advice.cause = nth(*advice.region) + " (" + range_of(*shorter) + ") stops " +
                       hex_text(access.address - virtual_range(*shorter).end) + " bytes short of the address";
        advice.fix = "make that region " + hex_text(better.size) + " bytes long";
        write_region(advice, better, device.name);
        return advice;
    }
    advice.region.reset();
    advice.cause = "no memory region of the cell holds the address";
    advice.fix =
        access.execute ? "give the cell RAM there that it may execute" : "add a region for it to the cell's config";
    write_region(advice, region_for(access, device), access.execute ? "ram" : device.name);
    return advice;
}

} // namespace hil
