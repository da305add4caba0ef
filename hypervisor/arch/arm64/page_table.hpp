// SPDX-License-Identifier: Apache-2.0
// Translation tables in the long-descriptor format, 4 KiB granule (Arm ARM D8.3), of stage 1 at EL2 and of stage 2.
// Kept canonical, but for changes with Tables::kept: what can be a block is one, what is empty has no table. The pages
// used depend on what is mapped alone, not on how it came about. Live entries are changed by break-before-make.
#pragma once

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/page_pool.hpp"

#include <cstddef>
#include <cstdint>

namespace gaol {

struct TableGeometry {
    unsigned start_level;  ///< 0 or 1
    unsigned address_bits; ///< the first table has as many pages as that needs
};

class PageTable {
  public:
    /// Forgets the cached translations of this table on all CPUs.
    using Flush = void (*)(const void* context);

    PageTable(TableGeometry geometry, PagePool& pool, void* root, Flush flush, const void* context)
        : geometry_(geometry), pool_(pool), root_(static_cast<uint64_t*>(root)), flush_(flush), context_(context) {}

    /// Zeroed first table, or null.
    [[nodiscard]] static void* allocate_root(TableGeometry geometry, PagePool& pool);
    /// Give all tables back, the first one too. Nothing may use them any more.
    void destroy();

    /// Map [address, address + size) to `target` with the leaf's attribute bits; everything page aligned. What was
    /// there is replaced. 0 or -ENOMEM, then part of it is mapped. With Tables::kept no table goes away, so that the
    /// reverse needs no memory.
    int map(uint64_t address, uint64_t target, uint64_t size, uint64_t attributes, Tables tables = Tables::tidy);
    int unmap(uint64_t address, uint64_t size, Tables tables = Tables::tidy);

    struct Leaf {
        uint64_t target = 0; ///< where `address` leads
        uint64_t attributes = 0;
        bool valid = false;
    };
    [[nodiscard]] Leaf find(uint64_t address) const;

    /// The level-3 entry of an address that has one, else null.
    [[nodiscard]] uint64_t* page_entry(uint64_t address) const;

    /// Software bit of a leaf: keep it in pages (JH_MEM_NO_HUGEPAGES).
    static constexpr uint64_t attribute_pages_only = uint64_t{1} << 55;

  private:
    struct Change {
        uint64_t start;
        uint64_t end;
        uint64_t target; ///< of `start`
        uint64_t attributes;
        bool map;
        Tables tables;
    };

    [[nodiscard]] static size_t root_pages(TableGeometry geometry);
    int update(uint64_t* table, unsigned level, uint64_t table_base, const Change& change);
    int descend(uint64_t& entry, unsigned level, uint64_t entry_base, const Change& change);
    int make_table(uint64_t& entry, unsigned level);
    void simplify(uint64_t& entry, unsigned level);
    void replace(uint64_t& entry, uint64_t value, unsigned level);
    void release_tables(uint64_t entry, unsigned level);
    void flush() const {
        if (flush_ != nullptr) {
            flush_(context_);
        }
    }

    TableGeometry geometry_;
    PagePool& pool_;
    uint64_t* root_;
    Flush flush_;
    const void* context_;
};

} // namespace gaol
