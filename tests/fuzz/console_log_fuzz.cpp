// SPDX-License-Identifier: Apache-2.0
// The console's log: each byte is in its file, and each piece's place and time are in the other one, whatever clocks
// and lengths there are and however often the log is begun again.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hil/lib/console_log.hpp"

namespace {

using Dates = std::vector<std::pair<std::uint64_t, std::uint64_t>>; // offset and nanoseconds of each piece

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// A file of its own that has a path and is in memory only.
struct MemoryFile {
    int fd = memfd_create("console", MFD_CLOEXEC);
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd); }
    void clear() const { require(ftruncate(fd, 0) == 0); }
    [[nodiscard]] std::string content() const {
        std::string bytes(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)), '\0');
        require(pread(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
        return bytes;
    }
};

// As hil/console_times.py reads them.
Dates dates(std::string_view content) {
    constexpr std::string_view kHeader = "hil console.times 2\n";
    require(content.starts_with(kHeader));
    std::vector<std::uint64_t> numbers;
    std::uint64_t value = 0;
    int shift = 0;
    for (const char c : content.substr(kHeader.size())) {
        require(shift <= 63);
        value |= static_cast<std::uint64_t>(c & 0x7f) << shift;
        shift = (c & 0x80) != 0 ? shift + 7 : 0;
        if (shift == 0) {
            numbers.push_back(std::exchange(value, 0));
        }
    }
    require(shift == 0);
    Dates found;
    for (std::size_t i = 0; i < numbers.size();) {
        const bool absolute = numbers[i] == 0;
        i += absolute ? 1 : 0;
        require(i + 1 < numbers.size() && (absolute || !found.empty()));
        const auto before = absolute ? std::pair<std::uint64_t, std::uint64_t>{} : found.back();
        found.emplace_back(before.first + numbers[i], before.second + numbers[i + 1]);
        i += 2;
    }
    return found;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const MemoryFile raw;
    static const MemoryFile times;
    raw.clear();
    times.clear();
    std::string_view left(reinterpret_cast<const char*>(data), size);
    std::string bytes;
    Dates expected;
    std::optional<hil::ConsoleLog> log;
    while (left.size() > 10) {
        if (!log || left[0] % 16 == 0) {
            log.reset();
            auto made = hil::ConsoleLog::create(raw.path(), times.path());
            require(made.ok());
            log = std::move(made).value();
            require(log->offset() == bytes.size());
        }
        std::uint64_t time = 0;
        for (int i = 1; i <= 8; ++i) {
            time = time << 8 | static_cast<unsigned char>(left[static_cast<std::size_t>(i)]);
        }
        const auto since_start = std::chrono::nanoseconds(static_cast<std::int64_t>(time));
        const std::string_view piece = left.substr(10, static_cast<unsigned char>(left[9]));
        require(log->append(piece, since_start).ok());
        if (!piece.empty()) {
            expected.emplace_back(bytes.size(),
                                  static_cast<std::uint64_t>(std::max<std::int64_t>(since_start.count(), 0)));
        }
        bytes += piece;
        left.remove_prefix(10 + piece.size());
        require(log->offset() == bytes.size());
    }
    require(raw.content() == bytes);
    if (log) {
        require(dates(times.content()) == expected);
    }
    return 0;
}
