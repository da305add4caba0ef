// SPDX-License-Identifier: Apache-2.0
// The pages of the hypervisor memory behind image, config and per-CPU areas: everything that is allocated at enable or
// create and given back at destroy. First fit over a bitmap; only management operations allocate.
#pragma once

#include "hypervisor/core/address.hpp"

#include <cstddef>

namespace gaol {

class PagePool {
  public:
    static constexpr size_t max_pages = 16384; // 64 MiB of hypervisor memory

    /// Manage [start, start + size); both page aligned. Pages beyond max_pages are left out.
    void init(PhysAddr start, uint64_t size);

    /// `count` zeroed pages in a row, the first at a multiple of `align` pages; null when there are none.
    [[nodiscard]] void* allocate(size_t count = 1, size_t align = 1);
    void release(void* pages, size_t count = 1);

    [[nodiscard]] size_t size() const { return total_; }
    [[nodiscard]] size_t used() const { return used_; }

  private:
    [[nodiscard]] bool taken(size_t page) const { return (map_[page / 64] >> (page % 64) & 1) != 0; }
    void mark(size_t page, bool taken);

    PhysAddr start_;
    size_t total_ = 0;
    size_t used_ = 0;
    uint64_t map_[max_pages / 64] = {};
};

} // namespace gaol
