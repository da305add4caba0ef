// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_reader.hpp"

#include <algorithm>
#include <utility>

namespace hil {
namespace {

constexpr std::size_t piece = 64 * 1024;        // fed to the decoder at a time
constexpr std::size_t context = 64 * 1024;      // text ahead of a trap that tells causes from effects
constexpr std::size_t window_kept = 256 * 1024; // context, a region, and the lines that the decoder waits for
constexpr std::size_t late_context = 4 * 1024;  // of a trap whose architecture comes later
constexpr std::size_t events_at_most = 10'000;

} // namespace

void TrapReader::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::string_view part = bytes.substr(0, piece);
        bytes.remove_prefix(part.size());
        window_ += part;
        decoder_.feed(part);
        explain_new();
        if (window_.size() > window_kept + 2 * piece) {
            // Whole lines go, so that the window begins with one; a line without an end goes in pieces.
            const std::size_t excess = window_.size() - window_kept;
            const std::size_t newline = window_.find('\n', excess);
            const std::size_t gone = newline == std::string::npos ? excess : newline + 1;
            window_line_ += static_cast<std::uint64_t>(
                std::count(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(gone), '\n'));
            window_.erase(0, gone);
            scanned_ = 0;
            scanned_line_ = window_line_;
        }
    }
}

/// The text ahead of a line, as far as it is still there.
std::string_view TrapReader::before(std::uint64_t line) {
    if (line < scanned_line_) {
        scanned_ = 0;
        scanned_line_ = window_line_;
    }
    while (scanned_line_ < line) {
        const std::size_t newline = window_.find('\n', scanned_);
        if (newline == std::string::npos) {
            break;
        }
        scanned_ = newline + 1;
        ++scanned_line_;
    }
    const std::size_t from = scanned_ > context ? scanned_ - context : 0;
    return std::string_view(window_).substr(from, scanned_ - from);
}

void TrapReader::explain_new() {
    for (TrapEvent& event : decoder_.take()) {
        if (found_.size() >= events_at_most) {
            ++left_out_;
            continue;
        }
        const std::string_view ahead = before(event.first_line);
        Found found{std::move(event), {}, {}};
        found.explanation = explainer_.explain(found.event, ahead);
        if (found.event.arch == TrapArch::unknown) {
            found.before = ahead.substr(ahead.size() - std::min(ahead.size(), late_context));
        }
        found_.push_back(std::move(found));
    }
}

/// Traps that read the same on several architectures have the one that all others share.
void TrapReader::share_architecture() {
    TrapArch shared = TrapArch::unknown;
    for (const Found& found : found_) {
        if (found.event.arch == TrapArch::unknown || found.event.arch == shared) {
            continue;
        }
        if (shared != TrapArch::unknown) {
            return; // two architectures: none can be concluded
        }
        shared = found.event.arch;
    }
    for (Found& found : found_) {
        if (found.event.arch == TrapArch::unknown && shared != TrapArch::unknown) {
            found.event.arch = shared;
            found.event.infer(TrapField::arch);
            found.explanation = explainer_.explain(found.event, found.before);
        }
    }
}

nlohmann::ordered_json TrapReader::finish() {
    decoder_.finish();
    explain_new();
    share_architecture();
    nlohmann::ordered_json events = nlohmann::ordered_json::array();
    nlohmann::ordered_json missing = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < found_.size(); ++i) {
        events.push_back(explained_json(found_[i].event, found_[i].explanation));
        for (const std::string& what : missing_from(found_[i].event)) {
            missing.push_back((found_.size() == 1 ? "" : "event " + std::to_string(i + 1) + ": ") + what);
        }
    }
    if (left_out_ != 0) {
        missing.push_back(std::to_string(left_out_) + " more traps of the text, behind the first " +
                          std::to_string(events_at_most) + ": cut out the part that matters");
    }
    nlohmann::ordered_json out;
    out["events"] = std::move(events);
    out["missing"] = std::move(missing);
    return out;
}

nlohmann::ordered_json explain_text(const TrapExplainer& explainer, std::string_view text) {
    TrapReader reader(explainer);
    reader.feed(text);
    return reader.finish();
}

} // namespace hil
