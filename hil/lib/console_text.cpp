// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/console_text.hpp"

namespace hil {

namespace {

constexpr std::string_view kRecord = "hil-record "; // how a probe's record begins: bench/core/record.hpp

} // namespace

ConsoleText::ConsoleText(ConsoleTextSink& sink)
    : sink_(sink), assembler_([this](std::string_view text, bool whole) { line(text, whole); }) {}

void ConsoleText::feed(std::span<const char> bytes) {
    decoder_.feed(bytes, *this);
    take_traps();
}

void ConsoleText::settle(bool lines) {
    decoder_.release(*this);
    if (lines) {
        assembler_.flush(); // a prompt: shown, and its line goes on after it
    }
    flush_traps();
}

void ConsoleText::flush_traps() {
    traps_.flush();
    take_traps();
}

void ConsoleText::text(std::span<const char> bytes) {
    sink_.on_text(bytes);
    const std::string_view view(bytes.data(), bytes.size());
    traps_.feed(view);
    sink_.on_report(traps_.pending());
    assembler_.feed(view);
}

void ConsoleText::frame(const frame::Frame& frame, frame::Lane lane) {
    remains_.frame();
    sink_.on_frame(frame, lane);
}

void ConsoleText::damaged(frame::Lane lane, std::size_t characters) {
    remains_.given_back(characters);
    sink_.on_damaged(lane);
}

void ConsoleText::line(std::string_view text, bool whole) {
    const std::string others = remains_.strip(text);
    const bool nobody_else = others.empty() && !text.empty();
    auto fact = nobody_else ? std::nullopt : lifecycle_.feed(others);
    const Writer writer = nobody_else ? Writer::agent : lifecycle_.writer();
    in_record_ = in_record_ || text.find(kRecord) != std::string_view::npos;
    const std::size_t claimed = writer == Writer::unattributed ? remains_.claim(others.size()) : 0;
    sink_.on_line({text, writer, whole, in_record_, text.size() - others.size() + claimed});
    in_record_ = in_record_ && !whole; // the next piece of a line that was cut belongs to it
    if (fact) {
        sink_.on_fact(std::move(*fact));
    }
}

void ConsoleText::take_traps() {
    sink_.on_report(traps_.pending());
    for (TrapEvent& trap : traps_.take()) {
        sink_.on_trap(std::move(trap));
    }
}

} // namespace hil
