// SPDX-License-Identifier: Apache-2.0
// What is known around one trap: its event, the console text ahead of it, and the cells' configs.
#pragma once

#include "hil/lib/cell_file.hpp"
#include "hil/lib/trap_event.hpp"

#include <span>
#include <string>
#include <string_view>

namespace hil {

/// Answers what the causes of a trap depend on. All that it is given must outlive it.
class TrapContext {
  public:
    TrapContext(const TrapEvent& event, std::string_view before, std::span<const CellFile> configs);

    [[nodiscard]] const TrapEvent& event() const { return event_; }
    /// The file that describes the trapped cell; null when none was given.
    [[nodiscard]] const CellFile* file() const { return file_; }
    [[nodiscard]] const CellConfig* config() const { return config_; }
    [[nodiscard]] std::string config_name() const;

    struct Taken {
        const CellFile* owner = nullptr;
        const jh_memory* region = nullptr;
    };

    [[nodiscard]] bool in_root() const;
    /// Names of cells ahead of the trap: they tell the board where the trapped cell's own name does not.
    [[nodiscard]] std::string words_of_text() const;
    /// A non-root cell's config that claims physical memory at the address and does not share it with the root.
    [[nodiscard]] Taken taken_by() const;
    /// The cell whose loading was announced last ahead of the trap, when nothing of it happened since.
    [[nodiscard]] std::string being_loaded() const;
    /// Between the hypervisor's start and the first cell's creation there is nobody but the root.
    [[nodiscard]] bool before_any_cell() const;
    /// Certain, or as good as: by config, by time, or by a pc that no bare-metal inmate has where no config tells.
    [[nodiscard]] bool may_be_root() const;
    [[nodiscard]] bool runs_linux() const;
    /// The processor trapped while it walked the guest's own page table (S1PTW).
    [[nodiscard]] bool in_page_table() const;
    /// On x86 a fetch from nowhere is reported as a read whose instruction could not be had.
    [[nodiscard]] bool fetched_by_x86() const;
    [[nodiscard]] bool walked_off_ecam() const;
    /// The line of a load that failed before the cell's last start; empty when there is none.
    [[nodiscard]] std::string_view failed_load() const;

  private:
    const TrapEvent& event_;
    std::string_view before_;
    std::span<const CellFile> configs_;
    const CellFile* file_ = nullptr;
    const CellConfig* config_ = nullptr;
};

} // namespace hil
