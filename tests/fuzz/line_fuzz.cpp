// SPDX-License-Identifier: Apache-2.0
// Lines and lifecycle facts: bounded whatever comes, the same however it is cut, names never longer than a cell's.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "hil/lib/lifecycle.hpp"
#include "hil/lib/line_assembler.hpp"

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

std::vector<std::string> lines_of(std::string_view input, std::size_t step) {
    std::vector<std::string> lines;
    hil::LineAssembler assembler([&](std::string_view line, bool) {
        require(line.size() <= hil::LineAssembler::kMaxLine);
        lines.emplace_back(line);
    });
    for (std::size_t i = 0; i < input.size(); i += step) {
        assembler.feed(input.substr(i, step));
    }
    assembler.flush();
    return lines;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto lines = lines_of(input, input.size() + 1);
    require(lines == lines_of(input, 1 + data[0] % 100));
    hil::LifecycleParser parser;
    for (const std::string& line : lines) {
        const std::string plain = hil::without_escapes(line);
        require(plain.size() <= line.size() && plain.find('\x1b') == std::string::npos);
        if (const auto fact = parser.feed(line)) {
            require(fact->cell.size() <= 31 && fact->detail.size() <= 256 && !fact->kind.empty());
            require(fact->cell.find('\x1b') == std::string::npos);
        }
    }
    return 0;
}
