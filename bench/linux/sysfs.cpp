// SPDX-License-Identifier: Apache-2.0
#include "bench/linux/sysfs.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace hil::bench {
namespace {

struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

} // namespace

std::vector<std::string> read_lines(const std::filesystem::path& path) {
    std::vector<std::string> lines;
    const File file(std::fopen(path.c_str(), "re"));
    if (!file) {
        return lines;
    }
    char* line = nullptr;
    std::size_t room = 0;
    for (ssize_t size = 0; (size = getline(&line, &room, file.get())) >= 0;) {
        lines.emplace_back(line, static_cast<std::size_t>(size > 0 && line[size - 1] == '\n' ? size - 1 : size));
    }
    std::free(line);
    return lines;
}

std::optional<std::string> read_line(const std::filesystem::path& path) {
    std::vector<std::string> lines = read_lines(path);
    return lines.empty() ? std::nullopt : std::optional(std::move(lines.front()));
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
    const File file(std::fopen(path.c_str(), "we"));
    return file && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() && std::fflush(file.get()) == 0;
}

} // namespace hil::bench
