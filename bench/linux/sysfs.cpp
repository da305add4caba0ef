// SPDX-License-Identifier: Apache-2.0
#include "bench/linux/sysfs.hpp"

#include <cstdlib>
#include <fstream>

namespace hil::bench {

std::optional<std::string> read_line(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) {
        return std::nullopt;
    }
    return line;
}

std::optional<std::uint64_t> read_number(const std::filesystem::path& path) {
    const std::optional<std::string> line = read_line(path);
    if (!line || line->empty()) {
        return std::nullopt;
    }
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(line->c_str(), &end, 0);
    return *end == '\0' ? std::optional(value) : std::nullopt;
}

bool write_text(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file.good();
}

} // namespace hil::bench
