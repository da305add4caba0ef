// SPDX-License-Identifier: Apache-2.0
// A short table of boards: what a device tree lacks (clock gates), and names for reports that come without one.
// Sources: Allwinner A20 and H3 user manuals, QEMU's "virt" machine, public device trees.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hil {

struct BoardDevice {
    std::uint64_t address;
    std::uint64_t size;
    std::string_view name;        // one word, for a config
    std::string_view description; // for a person
};

struct BoardTable {
    std::string_view name;
    std::string_view hints; // words that cells of this board carry in their names, lower case, separated by spaces
    std::span<const BoardDevice> devices;
    std::span<const BoardDevice> family; // devices that its sister boards have at the same place; may be empty
};

/// The board that these words (names of cells, machines) speak of; nullptr when none or several.
const BoardTable* board_for(std::string_view words);

/// The smallest device of the board that holds the address; nullptr when none.
const BoardDevice* device_at(const BoardTable& board, std::uint64_t address);

/// What a register of a clock controller does ("the APB1 gate of the UARTs and TWIs"); empty when not known.
std::string_view clock_register(const BoardTable& board, std::uint64_t address);

} // namespace hil
