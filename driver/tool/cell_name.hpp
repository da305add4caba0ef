// SPDX-License-Identifier: Apache-2.0
// { ID | [--name] NAME } on a command line.
#pragma once

#include "command.hpp"

#include <sys/ioctl.h>

#include "abi/ioctl.h"

#include <cstddef>
#include <optional>

struct CellName {
    jh_cell_id id;
    std::size_t words; // how many words of the command line it took
};

// nullopt: nothing there, or a name of more than 31 characters.
std::optional<CellName> parse_cell_name(Words words);

// A number in C's notation that is the whole word. nullopt otherwise, also when it does not fit.
std::optional<unsigned long long> parse_number(const char* word);
