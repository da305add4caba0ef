// SPDX-License-Identifier: Apache-2.0
// A YAML mapping read key by key: the first error sticks, with its line, and keys that nobody asked for are errors.
#pragma once

#include <yaml-cpp/yaml.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hil/lib/cell_names.hpp"
#include "hil/lib/result.hpp"

namespace hil {

/// The first thing that went wrong in a document. A key that nobody knows comes before all else: what is missing or
/// unnamed elsewhere follows from it, as a rule.
class YamlErrors {
  public:
    void add(const YAML::Node& node, const std::string& message);
    void add_line(int line, const std::string& message);
    void add_unknown_key(const YAML::Node& key, const std::string& message);
    [[nodiscard]] bool any() const { return first_ || unknown_key_; }
    [[nodiscard]] const Error& first() const { return unknown_key_ ? *unknown_key_ : *first_; }

  private:
    std::optional<Error> first_;
    std::optional<Error> unknown_key_;
};

class YamlMap {
  public:
    /// `where` names the mapping in errors: "memory[2]".
    YamlMap(const YAML::Node& node, std::string where, YamlErrors& errors);

    [[nodiscard]] bool has(const std::string& key);
    /// The node under the key; an undefined node if it is absent.
    [[nodiscard]] YAML::Node child(const std::string& key);
    /// The scalar under the key.
    [[nodiscard]] std::optional<std::string> text(const std::string& key);

    /// Each gives the value under the key, or `current` when the key is absent or wrong. By value: the targets are
    /// members of packed structs, to which no reference can be bound.
    template <std::unsigned_integral T> [[nodiscard]] T number(const std::string& key, T current) {
        return checked(key, parse(key, [](std::string_view text) { return number_from_text(text); }), current);
    }
    template <std::unsigned_integral T>
    [[nodiscard]] T flags(const std::string& key, std::span<const CellWord> words, T current) {
        return checked(key, flags_value(key, words), current);
    }
    template <std::unsigned_integral T>
    [[nodiscard]] T word(const std::string& key, std::span<const CellWord> words, T current) {
        return checked(
            key, parse(key, [words](std::string_view text) { return word_or_number_from_text(text, words); }), current);
    }
    [[nodiscard]] uint16_t bdf(const std::string& key, uint16_t current);
    void hex_bytes(const std::string& key, std::span<uint8_t> target);
    /// A list of numbers and of ranges such as "32-255", as first and last. Refused: `limit` and above.
    [[nodiscard]] std::vector<std::pair<uint64_t, uint64_t>> ranges(const std::string& key, uint64_t limit);

    void require(const std::string& key);
    void error(const std::string& key, const std::string& message);
    /// Call last: complains of keys that were never asked for.
    void finish();

    [[nodiscard]] const std::string& where() const { return where_; }
    [[nodiscard]] YamlErrors& errors() { return errors_; }

  private:
    using Value = std::optional<uint64_t>;

    template <typename Function> Value parse(const std::string& key, Function function) {
        const std::optional<std::string> scalar = text(key);
        if (!scalar) {
            return std::nullopt;
        }
        const Result<uint64_t> value = function(*scalar);
        if (!value) {
            error(key, value.error().message);
            return std::nullopt;
        }
        return *value;
    }
    template <typename T> T checked(const std::string& key, Value value, T current) {
        if (value && *value > std::numeric_limits<T>::max()) {
            error(key, hex_text(*value) + " does not fit into " + std::to_string(sizeof(T) * 8) + " bits");
        }
        return value ? static_cast<T>(*value) : current;
    }
    Value flags_value(const std::string& key, std::span<const CellWord> words);

    YAML::Node node_;
    std::string where_;
    YamlErrors& errors_;
    std::set<std::string> asked_;
};

/// Calls function(element, "where[index]") for each element of a sequence; an undefined node has none.
template <typename Function>
void for_each_in_list(const YAML::Node& list, const std::string& where, YamlErrors& errors, Function function) {
    if (!list.IsDefined() || list.IsNull()) {
        return;
    }
    if (!list.IsSequence()) {
        errors.add(list, where + ": expected a list");
        return;
    }
    size_t index = 0;
    for (const YAML::Node& element : list) {
        function(element, where + "[" + std::to_string(index++) + "]");
    }
}

} // namespace hil
