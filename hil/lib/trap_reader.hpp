// SPDX-License-Identifier: Apache-2.0
// A text of any length, read in pieces: its traps, each explained with what stood ahead of it.
#pragma once

#include "hil/lib/trap_decoder.hpp"
#include "hil/lib/trap_explain.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hil {

/// Memory is bounded whatever the text: 384 KiB of it are kept as context, and the first 10,000 traps.
class TrapReader {
  public:
    /// The explainer must outlive the reader and stay as it is.
    explicit TrapReader(const TrapExplainer& explainer) : explainer_(explainer) {}

    void feed(std::string_view bytes);
    /// End of the text: `hil explain --json`, {"events": […], "missing": […]}.
    [[nodiscard]] nlohmann::ordered_json finish();

  private:
    struct Found {
        TrapEvent event;
        TrapExplanation explanation;
        std::string before; // kept where the explanation may have to be given again: no architecture yet
    };

    void explain_new();
    void share_architecture();
    [[nodiscard]] std::string_view before(std::uint64_t line);

    const TrapExplainer& explainer_;
    TrapDecoder decoder_;
    std::vector<Found> found_;
    std::uint64_t left_out_ = 0;
    std::string window_;            // the end of the text so far, from the start of a line
    std::uint64_t window_line_ = 1; // number of its first line
    std::size_t scanned_ = 0;       // offset in the window of the line that is looked up next
    std::uint64_t scanned_line_ = 1;
};

/// A whole text at once.
nlohmann::ordered_json explain_text(const TrapExplainer& explainer, std::string_view text);

} // namespace hil
