// SPDX-License-Identifier: Apache-2.0
#include "cell_name.hpp"

#include "abi/cell_config.h"

#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string_view>

std::optional<unsigned long long> parse_number(const char* word) {
    if (!std::isdigit(static_cast<unsigned char>(word[0]))) {
        return std::nullopt;
    }
    char* end = nullptr;
    errno = 0;
    const unsigned long long value = std::strtoull(word, &end, 0);
    if (errno != 0 || *end != '\0') {
        return std::nullopt;
    }
    return value;
}

std::optional<CellName> parse_cell_name(Words words) {
    CellName cell{};
    const bool named = !words.empty() && std::string_view(words[0]) == "--name";
    cell.words = named ? 2 : 1;
    if (words.size() < cell.words) {
        return std::nullopt;
    }
    const char* word = words[cell.words - 1];
    const auto number = named ? std::nullopt : parse_number(word);
    if (number && *number <= INT_MAX) {
        cell.id.id = static_cast<int>(*number);
        return cell;
    }
    const std::size_t length = std::strlen(word);
    if (length == 0 || length >= sizeof(cell.id.name)) {
        return std::nullopt;
    }
    cell.id.id = JH_CELL_ID_UNUSED;
    std::memcpy(cell.id.name, word, length);
    return cell;
}
