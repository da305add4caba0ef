// SPDX-License-Identifier: Apache-2.0
// How a config is turned down: one line on the console that names the field, and an errno.
#pragma once

#include "hypervisor/core/cell_config.hpp"
#include "hypervisor/core/console.hpp"

namespace gaol {

/// One line "Config of cell "x" refused: <where>: <what>", and the errno to return.
class Refusal {
  public:
    Refusal(std::string_view cell, int error) : error_(error) { out_ << "Config of cell \"" << cell << "\" refused: "; }
    Refusal(std::string_view cell, int error, const char* array, uint32_t index) : Refusal(cell, error) {
        out_ << array << index << ": ";
    }
    ~Refusal() { out_ << '\n'; }
    Refusal(const Refusal&) = delete;
    Refusal& operator=(const Refusal&) = delete;
    template <typename T> Refusal& operator<<(T value) {
        out_ << value;
        return *this;
    }
    operator int() const { return -error_; } // NOLINT: reads as `return Refusal(…) << …`

  private:
    ConsoleOut out_;
    int error_;
};

inline std::string_view name_of(const jh_cell& cell) {
    return CellConfig(&cell).name();
}

inline Refusal refuse(const jh_cell& cell, int error = JH_EINVAL) {
    return {name_of(cell), error};
}

} // namespace gaol
