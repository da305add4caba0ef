// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/memory_map.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

namespace {

constexpr uint64_t lowest(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}
constexpr uint64_t highest(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

PhysRange range_of(const jh_memory& region) {
    return {PhysAddr{region.phys_start}, region.size};
}

/// Regions that leave the root when a cell gets them.
bool exclusive(const jh_memory& region) {
    return (region.flags & (JH_MEM_COMM_REGION | JH_MEM_ROOTSHARED)) == 0 && region.size != 0;
}
bool exclusive_pages(const jh_memory& region) {
    return exclusive(region) && !is_subpage(region);
}

/// The pages that a sub-page region lies in.
PhysRange pages_of(PhysRange range) {
    const uint64_t start = page_down(range.start.value);
    return {PhysAddr{start}, page_up(range.end().value) - start};
}

/// Call `change(guest, phys, size, flags)` for each piece of the root's config inside `range`, until one fails.
template <typename Change> int for_each_root_piece(PhysRange range, Change change) {
    for (const auto& own : hypervisor().root.config.memory()) {
        if (is_subpage(own) || !range_of(own).overlaps(range)) {
            continue;
        }
        const uint64_t start = highest(own.phys_start, range.start.value);
        const uint64_t end = lowest(own.phys_start + own.size, range.end().value);
        const GuestAddr guest{own.virt_start + (start - own.phys_start)};
        if (const int error = change(guest, PhysAddr{start}, end - start, own.flags); error != 0) {
            return error;
        }
    }
    return 0;
}

int give_root(PhysRange range, Tables tables) {
    return for_each_root_piece(range, [tables](GuestAddr guest, PhysAddr phys, uint64_t size, uint64_t flags) {
        return arch::stage2_map(hypervisor().root, guest, phys, size, flags, tables);
    });
}

int take_root(PhysRange range) {
    return for_each_root_piece(range, [](GuestAddr guest, PhysAddr, uint64_t size, uint64_t) {
        return arch::stage2_unmap(hypervisor().root, guest, size);
    });
}

/// The pages of a region that no other cell has a part of. Only its first and its last page can have one.
PhysRange unshared(PhysRange pages) {
    if (exclusive_owner({pages.start, page_size}) != nullptr) {
        pages = {pages.start + page_size, pages.size - page_size};
    }
    if (pages.size != 0 && exclusive_owner({pages.end() - page_size, page_size}) != nullptr) {
        pages.size -= page_size;
    }
    return pages;
}

} // namespace

bool is_subpage(const jh_memory& region) {
    return !page_aligned(region.phys_start) || !page_aligned(region.virt_start) || !page_aligned(region.size);
}

int map_cell(Cell& cell) {
    for (const auto& region : cell.config.memory()) {
        if (region.size == 0 || is_subpage(region)) {
            continue;
        }
        const bool comm = (region.flags & JH_MEM_COMM_REGION) != 0;
        const PhysAddr phys = comm ? arch::pool_address(cell.comm) : PhysAddr{region.phys_start};
        if (const int error = arch::stage2_map(cell, GuestAddr{region.virt_start}, phys, region.size, region.flags);
            error != 0) {
            return error;
        }
    }
    return 0;
}

int take_from_root(const Cell& cell) {
    int error = 0;
    for (const auto& region : cell.config.memory()) {
        if (exclusive(region) && error == 0) {
            error = take_root(pages_of(range_of(region)));
        }
    }
    arch::stage2_flush(hypervisor().root);
    return error;
}

/// The cell has left the list. A page of which another cell has a part stays away.
int return_to_root(const Cell& cell) {
    int error = 0;
    for (const auto& region : cell.config.memory()) {
        if (exclusive(region)) {
            const PhysRange pages = pages_of(range_of(region));
            const int failed = give_root(exclusive_pages(region) ? pages : unshared(pages), Tables::tidy);
            error = error == 0 ? failed : error;
        }
    }
    arch::stage2_flush(hypervisor().root);
    return error;
}

int lend_loadable(const Cell& cell, bool lend) {
    int error = 0;
    for (const auto& region : cell.config.memory()) {
        if (exclusive_pages(region) && (region.flags & JH_MEM_LOADABLE) != 0 && error == 0) {
            error = lend ? give_root(range_of(region), Tables::kept) : take_root(range_of(region));
        }
    }
    arch::stage2_flush(hypervisor().root);
    return error;
}

void flush_cell_memory(const Cell& cell) {
    for (const auto& region : cell.config.memory()) {
        if (exclusive_pages(region) && (region.flags & JH_MEM_IO) == 0) {
            arch::clean_invalidate(range_of(region));
        }
    }
}

Cell* exclusive_owner(PhysRange range) {
    for (Cell* cell = hypervisor().root.next; cell != nullptr; cell = cell->next) {
        for (const auto& region : cell->config.memory()) {
            if (exclusive(region) && range_of(region).overlaps(range)) {
                return cell;
            }
        }
    }
    return nullptr;
}

bool root_has(PhysRange range) {
    uint64_t covered = range.start.value;
    bool progress = true;
    while (covered < range.end().value && progress) {
        progress = false;
        for (const auto& own : hypervisor().root.config.memory()) {
            if (!is_subpage(own) && own.phys_start <= covered && covered < own.phys_start + own.size) {
                covered = own.phys_start + own.size;
                progress = true;
            }
        }
    }
    return covered >= range.end().value;
}

namespace {

/// At the device, unless it would cross into a page that is somebody else's.
MmioResult pass_through(PhysAddr phys, MmioAccess& access) {
    if ((phys.value & page_mask) + access.size > page_size) {
        return MmioResult::unclaimed;
    }
    const bool done = access.write ? arch::device_write(phys, access.value, access.size)
                                   : arch::device_read(phys, access.size, access.value);
    return done ? MmioResult::done : MmioResult::unclaimed;
}

/// The root's part of a page that it lost because a cell has a sub-page region there.
MmioResult rest_of_page(MmioAccess& access) {
    const uint64_t needed = access.write ? JH_MEM_WRITE : JH_MEM_READ;
    for (const auto& own : hypervisor().root.config.memory()) {
        if (is_subpage(own) || access.address < own.virt_start || access.address - own.virt_start >= own.size ||
            (own.flags & needed) == 0) {
            continue;
        }
        const PhysAddr phys{own.phys_start + (access.address - own.virt_start)};
        const PhysRange page{PhysAddr{page_down(phys.value)}, page_size};
        const bool shared_page = exclusive_owner(page) != nullptr;
        if (shared_page && exclusive_owner({phys, access.size}) == nullptr) {
            return pass_through(phys, access);
        }
    }
    return MmioResult::unclaimed;
}

} // namespace

MmioResult subpage_access(const Cell& cell, MmioAccess& access) {
    for (const auto& region : cell.config.memory()) {
        if (!is_subpage(region) || access.address < region.virt_start ||
            access.address - region.virt_start + access.size > region.size) {
            continue;
        }
        const uint64_t needed = access.write ? JH_MEM_WRITE : JH_MEM_READ;
        const uint64_t width = uint64_t{access.size} << JH_MEM_IO_WIDTH_SHIFT;
        const PhysAddr phys = PhysAddr{region.phys_start} + (access.address - region.virt_start);
        const bool aligned = phys.value % access.size == 0 || (region.flags & JH_MEM_IO_UNALIGNED) != 0;
        if ((region.flags & needed) == 0 || (region.flags & width) == 0 || !aligned) {
            return MmioResult::unclaimed;
        }
        return pass_through(phys, access);
    }
    return cell.is_root() ? rest_of_page(access) : MmioResult::unclaimed;
}

} // namespace gaol
