// SPDX-License-Identifier: Apache-2.0
// What a hypervisor does not check about its configs: findings, each with the rule, the place, what the console would
// say and the fix. The rules are listed in docs/cell-configs.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hil/lib/cell_board.hpp"
#include "hil/lib/cell_file.hpp"
#include "hil/lib/cell_range.hpp"

namespace hil {

enum class FindingSeverity {
    error,   ///< it will fail
    warning, ///< it fails if the software touches it, or it is a mistake that happens to work
    note,    ///< worth knowing
};

/// The trap that a finding predicts.
struct PredictedTrap {
    enum class Kind {
        data_read,
        data_write,
        instruction,
    };
    Kind kind = Kind::data_read;
    AddressRange addresses;      ///< the trap's address is one of these
    unsigned size = 4;           ///< bytes of the access
    std::string cell;            ///< the cell whose CPU parks
    std::optional<uint32_t> cpu; ///< nothing: any of the cell's
    /// The address that is touched first by most software; nothing: the first of `addresses`.
    std::optional<uint64_t> likely = std::nullopt;
};

struct Finding {
    FindingSeverity severity = FindingSeverity::error;
    std::string rule;    ///< a stable id: "not-root-memory"
    std::string file;    ///< as the user named it
    std::string region;  ///< of what: `memory region "ram"`, `pci device "link0"`, `cpus`
    std::string message; ///< what was found
    std::string console; ///< what the console (or the command) would say; empty: nothing
    std::string fix;     ///< what to write instead
    std::optional<PredictedTrap> trap;
};

/// An image that `cell load` is to put into a cell.
struct CellImage {
    uint64_t size = 0;         ///< bytes
    uint64_t load_address = 0; ///< of the cell
};

struct CheckInput {
    CellFile system;
    std::vector<CellFile> cells; ///< meant to exist at the same time
    Board board;
    std::optional<CellImage> image; ///< for each of the cells
};

[[nodiscard]] std::vector<Finding> check_cells(const CheckInput& input);

[[nodiscard]] std::string_view severity_name(FindingSeverity severity);
/// Several lines for a person.
[[nodiscard]] std::string finding_text(const Finding& finding);

} // namespace hil
