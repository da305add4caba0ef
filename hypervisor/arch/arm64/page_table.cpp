// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/page_table.hpp"

#include "abi/hypercall.h"
#include "hypervisor/core/arch.hpp"

namespace gaol {

namespace {

constexpr unsigned last_level = 3;
constexpr size_t entries = 512;
constexpr uint64_t valid_bit = 1;
constexpr uint64_t table_bit = 2; // table at levels 0-2, page at level 3
constexpr uint64_t address_field = 0x0000fffffffff000;

constexpr unsigned shift_of(unsigned level) {
    return 12 + 9 * (last_level - level);
}
constexpr uint64_t span_of(unsigned level) {
    return uint64_t{1} << shift_of(level);
}
bool valid(uint64_t entry) {
    return (entry & valid_bit) != 0;
}
bool is_table(uint64_t entry, unsigned level) {
    return valid(entry) && level < last_level && (entry & table_bit) != 0;
}
uint64_t* table_at(uint64_t entry) {
    return static_cast<uint64_t*>(arch::pool_pointer(PhysAddr{entry & address_field}));
}
uint64_t leaf(uint64_t target, uint64_t attributes, unsigned level) {
    return target | attributes | valid_bit | (level == last_level ? table_bit : 0);
}
// The tables are read by hardware that does not follow the compiler.
void store(uint64_t& entry, uint64_t value) {
    __atomic_store_n(&entry, value, __ATOMIC_RELEASE);
}

} // namespace

size_t PageTable::root_pages(TableGeometry geometry) {
    const unsigned covered = shift_of(geometry.start_level) + 9;
    return geometry.address_bits > covered ? size_t{1} << (geometry.address_bits - covered) : 1;
}

void* PageTable::allocate_root(TableGeometry geometry, PagePool& pool) {
    return pool.allocate(root_pages(geometry), root_pages(geometry));
}

void PageTable::destroy() {
    for (size_t index = 0; index < root_pages(geometry_) * entries; ++index) {
        release_tables(root_[index], geometry_.start_level);
    }
    pool_.release(root_, root_pages(geometry_));
    root_ = nullptr;
}

int PageTable::map(uint64_t address, uint64_t target, uint64_t size, uint64_t attributes, Tables tables) {
    const Change change{address, address + size, target, attributes, true, tables};
    return size == 0 ? 0 : update(root_, geometry_.start_level, 0, change);
}

int PageTable::unmap(uint64_t address, uint64_t size, Tables tables) {
    const Change change{address, address + size, 0, 0, false, tables};
    return size == 0 ? 0 : update(root_, geometry_.start_level, 0, change);
}

PageTable::Leaf PageTable::find(uint64_t address) const {
    if (address >> geometry_.address_bits != 0) {
        return {};
    }
    const uint64_t* table = root_;
    size_t index = address >> shift_of(geometry_.start_level);
    for (unsigned level = geometry_.start_level;; ++level) {
        const uint64_t entry = table[index];
        if (!is_table(entry, level)) {
            const uint64_t inside = address & (span_of(level) - 1);
            return {(entry & address_field) + inside, entry & ~address_field & ~(valid_bit | table_bit), valid(entry)};
        }
        table = table_at(entry);
        index = (address >> shift_of(level + 1)) % entries;
    }
}

uint64_t* PageTable::page_entry(uint64_t address) const {
    uint64_t* entry = &root_[address >> shift_of(geometry_.start_level)];
    for (unsigned level = geometry_.start_level; level < last_level; ++level) {
        if (!is_table(*entry, level)) {
            return nullptr;
        }
        entry = &table_at(*entry)[(address >> shift_of(level + 1)) % entries];
    }
    return entry;
}

int PageTable::update(uint64_t* table, unsigned level, uint64_t table_base, const Change& change) {
    const uint64_t span = span_of(level);
    uint64_t index = (change.start - table_base) / span;
    for (uint64_t base = table_base + index * span; base < change.end; base += span, ++index) {
        uint64_t& entry = table[index];
        const uint64_t start = change.start > base ? change.start : base;
        const uint64_t end = change.end < base + span ? change.end : base + span;
        const Change part{start,      end,          change.target + (start - change.start), change.attributes,
                          change.map, change.tables};
        const bool whole = end - start == span && !(change.tables == Tables::kept && is_table(entry, level));
        const bool block_fits = level == last_level || (level >= 1 && part.target % span == 0 &&
                                                        (change.attributes & attribute_pages_only) == 0);
        if (whole && (!change.map || block_fits)) {
            replace(entry, change.map ? leaf(part.target, change.attributes, level) : 0, level);
        } else if (const int error = descend(entry, level, base, part); error != 0) {
            return error;
        }
    }
    return 0;
}

int PageTable::descend(uint64_t& entry, unsigned level, uint64_t entry_base, const Change& change) {
    if (!valid(entry) && !change.map) {
        return 0;
    }
    if (!is_table(entry, level)) {
        if (const int error = make_table(entry, level); error != 0) {
            return error;
        }
    }
    const int error = update(table_at(entry), level + 1, entry_base, change);
    if (change.tables == Tables::tidy) {
        simplify(entry, level);
    }
    return error;
}

/// Turn an empty entry or a block into a table of the same meaning.
int PageTable::make_table(uint64_t& entry, unsigned level) {
    auto* table = static_cast<uint64_t*>(pool_.allocate());
    if (table == nullptr) {
        return -JH_ENOMEM;
    }
    if (valid(entry)) {
        const uint64_t attributes = entry & ~address_field & ~(valid_bit | table_bit);
        for (size_t index = 0; index < entries; ++index) {
            table[index] = leaf((entry & address_field) + index * span_of(level + 1), attributes, level + 1);
        }
    }
    replace(entry, arch::pool_address(table).value | valid_bit | table_bit, level);
    return 0;
}

/// Make a table that says nothing, or what a block could say, go away.
void PageTable::simplify(uint64_t& entry, unsigned level) {
    const uint64_t* table = table_at(entry);
    const uint64_t first = table[0];
    const uint64_t attributes = first & ~address_field & ~(valid_bit | table_bit);
    bool empty = !valid(first);
    bool block = valid(first) && !is_table(first, level + 1) && level >= 1 &&
                 (first & address_field) % span_of(level) == 0 && (attributes & attribute_pages_only) == 0;
    for (size_t index = 1; index < entries && (empty || block); ++index) {
        empty = empty && !valid(table[index]);
        block =
            block && table[index] == leaf((first & address_field) + index * span_of(level + 1), attributes, level + 1);
    }
    if (empty || block) {
        replace(entry, block ? leaf(first & address_field, attributes, level) : 0, level);
    }
}

/// Break-before-make; tables under the old entry are released once no walk can be in them.
void PageTable::replace(uint64_t& entry, uint64_t value, unsigned level) {
    const uint64_t old = entry;
    if (old == value) {
        return;
    }
    if (valid(old) && (valid(value) || is_table(old, level))) {
        store(entry, 0);
        flush();
    }
    store(entry, value);
    release_tables(old, level);
}

void PageTable::release_tables(uint64_t entry, unsigned level) {
    if (!is_table(entry, level)) {
        return;
    }
    uint64_t* table = table_at(entry);
    for (size_t index = 0; index < entries; ++index) {
        release_tables(table[index], level + 1);
    }
    pool_.release(table);
}

} // namespace gaol
