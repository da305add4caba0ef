// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/lifecycle.hpp"

#include <array>
#include <charconv>

#include "hil/lib/line_assembler.hpp"

namespace hil {

namespace {

constexpr std::size_t kMaxName = 31; // of a cell
constexpr std::size_t kMaxDetail = 256;
constexpr std::size_t kMaxBefore = 160;

// What follows the fixed words.
enum class Rest {
    detail,     // anything
    cell,       // NAME"
    cell_words, // NAME" and the words in `after`
    cpu_cell,   // N (Cell: "NAME")
};

struct Pattern {
    std::string_view kind;
    Writer writer;
    std::string_view words;
    Rest rest;
    std::string_view after = {};
};

constexpr std::array kPatterns = {
    Pattern{"hypervisor-start", Writer::hypervisor, "Initializing Jailhouse hypervisor ", Rest::detail},
    Pattern{"page-pool", Writer::hypervisor, "Page pool usage ", Rest::detail},
    Pattern{"virtual-pci-device", Writer::hypervisor, "Adding virtual PCI device ", Rest::detail},
    Pattern{"hypervisor-active", Writer::hypervisor, "Activating hypervisor", Rest::detail},
    Pattern{"hypervisor-stop", Writer::hypervisor, "Shutting down hypervisor", Rest::detail},
    Pattern{"cell-created", Writer::hypervisor, "Created cell \"", Rest::cell},
    Pattern{"cell-loadable", Writer::hypervisor, "Cell \"", Rest::cell_words, "can be loaded"},
    Pattern{"cell-started", Writer::hypervisor, "Started cell \"", Rest::cell},
    Pattern{"cell-closed", Writer::hypervisor, "Closing cell \"", Rest::cell},
    Pattern{"memory-connected", Writer::hypervisor, "Shared memory connection established", Rest::detail},
    Pattern{"reply-timeout", Writer::hypervisor, "Timeout expired while waiting for reply", Rest::detail},
    Pattern{"cpu-parked", Writer::hypervisor, "Parking CPU ", Rest::cpu_cell},
    Pattern{"cpu-stopped", Writer::hypervisor, "Stopping CPU ", Rest::cpu_cell},
    Pattern{"jailhouse-opened", Writer::kernel, "The Jailhouse is opening", Rest::detail},
    Pattern{"jailhouse-closed", Writer::kernel, "The Jailhouse was closed", Rest::detail},
    Pattern{"kernel-boot", Writer::kernel, "Booting Linux on physical CPU", Rest::detail},
    Pattern{"kernel-panic", Writer::kernel, "Kernel panic - not syncing", Rest::detail},
    Pattern{"kernel-oops", Writer::kernel, "Internal error: ", Rest::detail},
    Pattern{"kernel-oops", Writer::kernel, "Unable to handle kernel", Rest::detail},
    Pattern{"kernel-lockup", Writer::kernel, "watchdog: BUG: soft lockup", Rest::detail},
    Pattern{"kernel-stall", Writer::kernel, "detected stalls on CPUs", Rest::detail},
    Pattern{"kernel-stall", Writer::kernel, "rcu_sched self-detected stall", Rest::detail},
    Pattern{"kernel-out-of-memory", Writer::kernel, "Out of memory: Killed process", Rest::detail},
    Pattern{"kernel-halt", Writer::kernel, "reboot: ", Rest::detail},
};

// Takes NAME up to the quote from `rest`; nothing when there is no such name.
std::optional<std::string> take_cell(std::string_view& rest) {
    const std::size_t end = rest.find('"');
    if (end > kMaxName) { // npos too
        return std::nullopt;
    }
    std::string name(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    return name;
}

std::optional<LifecycleEvent> match(const Pattern& pattern, std::string_view rest) {
    LifecycleEvent event{pattern.kind, pattern.writer, {}, -1, {}};
    if (pattern.rest == Rest::cell || pattern.rest == Rest::cell_words) {
        auto cell = take_cell(rest);
        if (!cell || rest.find(pattern.after) == std::string_view::npos) {
            return std::nullopt;
        }
        event.cell = std::move(*cell);
    }
    if (pattern.rest == Rest::cpu_cell) {
        const auto number = std::from_chars(rest.data(), rest.data() + rest.size(), event.cpu);
        if (number.ec != std::errc{} || event.cpu < 0) {
            return std::nullopt;
        }
        const std::size_t open = rest.find("(Cell: \"");
        if (open != std::string_view::npos) { // the tail may be cut off; the parking is a fact all the same
            std::string_view name = rest.substr(open + 8);
            event.cell = take_cell(name).value_or("");
        }
    }
    event.detail = rest.substr(0, kMaxDetail);
    return event;
}

std::optional<LifecycleEvent> find(std::string_view line) {
    for (const Pattern& pattern : kPatterns) {
        const std::size_t at = line.find(pattern.words);
        if (at == std::string_view::npos) {
            continue;
        }
        const std::size_t end = at + pattern.words.size();
        if (auto event = match(pattern, line.substr(end))) {
            return event;
        }
    }
    return std::nullopt;
}

// "[   12.345678] ", as the kernel begins its lines.
bool has_kernel_time(std::string_view line) {
    const std::size_t close = line.find("] ");
    if (line.empty() || line[0] != '[' || close == std::string_view::npos || close > 20) {
        return false;
    }
    const std::string_view inside = line.substr(1, close - 1);
    return inside.find('.') != std::string_view::npos &&
           inside.find_first_not_of(" .0123456789") == std::string_view::npos;
}

} // namespace

const char* to_string(Writer writer) {
    switch (writer) {
    case Writer::kernel:
        return "kernel";
    case Writer::hypervisor:
        return "hypervisor";
    case Writer::agent:
        return "agent";
    case Writer::unattributed:
        break;
    }
    return "unattributed";
}

std::optional<LifecycleEvent> LifecycleParser::feed(std::string_view raw) {
    const std::string line = without_escapes(raw);
    writer_ = has_kernel_time(line) ? Writer::kernel : Writer::unattributed;
    auto found = find(line);
    if (!found && !before_.empty()) {
        found = find(before_ + line); // a fact that lies across the seam: in before_ alone there was none
    }
    before_.clear();
    if (found) {
        writer_ = found->writer;
        return found;
    }
    before_ = line.size() > kMaxBefore ? line.substr(line.size() - kMaxBefore) : line;
    return std::nullopt;
}

} // namespace hil
