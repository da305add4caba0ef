// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

Cell* Hypervisor::find_cell(uint32_t id) {
    for (Cell* cell = &root; cell != nullptr; cell = cell->next) {
        if (cell->id == id) {
            return cell;
        }
    }
    return nullptr;
}

uint32_t Hypervisor::cell_count() const {
    uint32_t count = 0;
    for (const Cell* cell = &root; cell != nullptr; cell = cell->next) {
        ++count;
    }
    return count;
}

void Hypervisor::report_pools(const char* when) {
    ConsoleOut out;
    out << "Page pool usage " << when << ": mem " << pool.used() << '/' << pool.size() << ", remap " << remapped_pages
        << '/' << remap_pool_pages << '\n';
}

} // namespace gaol
