// SPDX-License-Identifier: Apache-2.0
// From a decoded trap to something a person can act on: the device, the cause, the lines of a cell's config to add.
#pragma once

#include "hil/lib/cell_board.hpp"
#include "hil/lib/cell_file.hpp"
#include "hil/lib/result.hpp"
#include "hil/lib/trap_event.hpp"
#include "hil/lib/trap_explanation.hpp"
#include "hil/lib/trap_symbols.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hil {

/// Knows the machine, the configs and the programs as far as they were given, and explains traps with them.
class TrapExplainer {
  public:
    /// A flattened device tree. name: for messages.
    Status add_device_tree(std::span<const uint8_t> blob, const std::string& name);
    /// A target's devices.yaml.
    void add_devices(DeviceTable devices);
    /// A config of either sort, YAML or binary, as read_cell_file() gives it.
    void add_config(CellFile file);
    TrapSymbols& symbols() { return symbols_; }

    /// `before`: the console text ahead of the trap; what was loaded and started there tells causes from effects.
    [[nodiscard]] TrapExplanation explain(const TrapEvent& event, std::string_view before) const;

  private:
    friend class TrapStory;
    std::vector<Board> boards_;
    DeviceTable devices_;
    std::vector<CellFile> configs_;
    TrapSymbols symbols_;
};

/// One event with its explanation.
nlohmann::ordered_json explained_json(const TrapEvent& event, const TrapExplanation& explanation);

} // namespace hil
