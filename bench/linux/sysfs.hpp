// SPDX-License-Identifier: Apache-2.0
// Small text files of the kernel.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hil::bench {

/// All lines without their ends; empty when the file cannot be read.
std::vector<std::string> read_lines(const std::filesystem::path& path);

/// The first line without its line end.
std::optional<std::string> read_line(const std::filesystem::path& path);

/// A number, decimal or 0x….
std::optional<std::uint64_t> read_number(const std::filesystem::path& path);

bool write_text(const std::filesystem::path& path, const std::string& text);

} // namespace hil::bench
