// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/page_pool.hpp"

#include "hypervisor/core/arch.hpp"

#include <cstring>

namespace gaol {

void PagePool::init(PhysAddr start, uint64_t size) {
    start_ = start;
    total_ = size / page_size < max_pages ? size / page_size : max_pages;
    used_ = 0;
    std::memset(map_, 0, sizeof(map_));
}

void PagePool::mark(size_t page, bool taken) {
    const uint64_t bit = uint64_t{1} << (page % 64);
    map_[page / 64] = taken ? map_[page / 64] | bit : map_[page / 64] & ~bit;
}

void* PagePool::allocate(size_t count, size_t align) {
    const size_t base = start_.value / page_size;
    for (size_t first = 0; first + count <= total_; ++first) {
        if ((base + first) % align != 0) {
            continue;
        }
        size_t length = 0;
        while (length < count && !taken(first + length)) {
            ++length;
        }
        if (length < count) {
            first += length; // the page after the taken one is the next candidate
            continue;
        }
        for (size_t page = first; page < first + count; ++page) {
            mark(page, true);
        }
        used_ += count;
        void* pages = arch::pool_pointer(start_ + first * page_size);
        std::memset(pages, 0, count * page_size);
        return pages;
    }
    return nullptr;
}

void PagePool::release(void* pages, size_t count) {
    if (pages == nullptr) {
        return;
    }
    const size_t first = (arch::pool_address(pages) - start_) / page_size;
    for (size_t page = first; page < first + count && page < total_; ++page) {
        if (taken(page)) {
            mark(page, false);
            --used_;
        }
    }
}

} // namespace gaol
