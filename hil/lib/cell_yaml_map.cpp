// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/cell_yaml_map.hpp"

namespace hil {

void YamlErrors::add(const YAML::Node& node, const std::string& message) {
    add_line(node.IsDefined() ? node.Mark().line : -1, message);
}

void YamlErrors::add_line(int line, const std::string& message) {
    if (!first_) {
        first_ = Error{(line >= 0 ? "line " + std::to_string(line + 1) + ": " : std::string()) + message};
    }
}

void YamlErrors::add_unknown_key(const YAML::Node& key, const std::string& message) {
    if (!unknown_key_) {
        unknown_key_ = Error{"line " + std::to_string(key.Mark().line + 1) + ": " + message};
    }
}

YamlMap::YamlMap(const YAML::Node& node, std::string where, YamlErrors& errors)
    : node_(node), where_(std::move(where)), errors_(errors) {
    if (!node_.IsDefined() || !node_.IsMap()) {
        errors_.add(node_, where_ + ": expected keys with values");
        node_ = YAML::Node(YAML::NodeType::Map);
        return;
    }
    std::set<std::string> seen;
    for (const auto& entry : node_) {
        if (!entry.first.IsScalar()) {
            errors_.add(entry.first, where_ + ": a key must be a word");
        } else if (!seen.insert(entry.first.Scalar()).second) {
            errors_.add(entry.first, where_ + ": key \"" + entry.first.Scalar() + "\" is there twice");
        }
    }
}

bool YamlMap::has(const std::string& key) {
    return child(key).IsDefined();
}

YAML::Node YamlMap::child(const std::string& key) {
    asked_.insert(key);
    // The const operator does not insert the key.
    const YAML::Node& node = node_;
    for (const auto& entry : node) {
        if (entry.first.IsScalar() && entry.first.Scalar() == key) {
            return entry.second;
        }
    }
    return YAML::Node(YAML::NodeType::Undefined);
}

std::optional<std::string> YamlMap::text(const std::string& key) {
    const YAML::Node node = child(key);
    if (!node.IsDefined()) {
        return std::nullopt;
    }
    if (!node.IsScalar()) {
        error(key, "expected one value");
        return std::nullopt;
    }
    return node.Scalar();
}

YamlMap::Value YamlMap::flags_value(const std::string& key, std::span<const CellWord> words) {
    const YAML::Node node = child(key);
    if (!node.IsDefined() || !node.IsSequence()) {
        return parse(key, [words](std::string_view text) { return flags_from_text(text, words); });
    }
    uint64_t all = 0;
    for (const YAML::Node& element : node) {
        const Result<uint64_t> value =
            element.IsScalar() ? flags_from_text(element.Scalar(), words) : Error{"expected words"};
        if (!value) {
            error(key, value.error().message);
            return std::nullopt;
        }
        all |= *value;
    }
    return all;
}

uint16_t YamlMap::bdf(const std::string& key, uint16_t current) {
    const std::optional<std::string> scalar = text(key);
    if (!scalar) {
        return current;
    }
    const Result<uint16_t> value = bdf_from_text(*scalar);
    if (!value) {
        error(key, value.error().message);
        return current;
    }
    return *value;
}

void YamlMap::hex_bytes(const std::string& key, std::span<uint8_t> target) {
    if (const auto scalar = text(key)) {
        if (const Status status = bytes_from_hex(*scalar, target); !status) {
            error(key, status.error().message);
        }
    }
}

std::vector<std::pair<uint64_t, uint64_t>> YamlMap::ranges(const std::string& key, uint64_t limit) {
    std::vector<std::pair<uint64_t, uint64_t>> found;
    for_each_in_list(child(key), where_ + ": " + key, errors_, [&](const YAML::Node& element, const std::string&) {
        const std::string scalar = element.IsScalar() ? element.Scalar() : "";
        const size_t dash = scalar.find('-');
        const Result<uint64_t> first = number_from_text(std::string_view(scalar).substr(0, dash));
        const Result<uint64_t> last =
            dash == std::string::npos ? first : number_from_text(std::string_view(scalar).substr(dash + 1));
        if (first && last && *last < *first) {
            error(key, "the range \"" + scalar + "\" ends before it begins");
        } else if (!first || !last) {
            error(key, "\"" + scalar + "\" is neither a number nor a range such as 32-63");
        } else if (*last >= limit) {
            error(key, std::to_string(*last) + " is too large, it must be below " + std::to_string(limit));
        } else {
            found.emplace_back(*first, *last);
        }
    });
    return found;
}

void YamlMap::require(const std::string& key) {
    if (!has(key)) {
        errors_.add(node_, where_ + ": key \"" + key + "\" is missing");
    }
}

void YamlMap::error(const std::string& key, const std::string& message) {
    const YAML::Node node = child(key);
    errors_.add(node.IsDefined() ? node : node_, where_ + ": " + key + ": " + message);
}

void YamlMap::finish() {
    const YAML::Node& node = node_;
    for (const auto& entry : node) {
        if (entry.first.IsScalar() && !asked_.contains(entry.first.Scalar())) {
            const std::string& key = entry.first.Scalar();
            const std::vector<std::string_view> known(asked_.begin(), asked_.end());
            errors_.add_unknown_key(entry.first, where_ + ": unknown key \"" + key + "\"" + suggestion(key, known));
        }
    }
}

} // namespace hil
