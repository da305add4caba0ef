// SPDX-License-Identifier: Apache-2.0
// The closed grammar of panic reports: the forms of their lines, and a scanner that finds what stands verbatim in a
// text. Source of the forms: observed consoles of the hypervisor on arm, arm64 and x86, and reports in public.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace hil {

/// A first line: literal text with holes. A space stands for any white space, line ends included.
/// %a read|write · %x hexadecimal, "0x" optional · %d decimal · %o decimal offset · %w 1 = write, 0 = read · %b
/// bus:dev.fn · %c code (decimal) · %X code (hexadecimal) · %1 %2 exitinfo
struct TrapForm {
    std::string_view pattern;
    TrapKind kind;
    TrapArch arch;
    bool detail; // explains another first line that follows, or is one itself when none does
};

std::span<const TrapForm> trap_forms();

enum class TrapFactType : std::uint8_t {
    head,
    exception_class,
    cell_state,
    reg,
    level,
    park,
    stop,
    gap
};

/// One element of a report, and where it stands in the text.
struct TrapFact {
    TrapFactType type = TrapFactType::head;
    TrapKind kind = TrapKind::other;
    TrapArch arch = TrapArch::unknown;
    TrapAccess access = TrapAccess::unknown;
    TrapRegister reg = TrapRegister::count;
    bool detail = false;
    bool unknown_form = false; // "FATAL:" with a text that no form has
    bool damaged = false;      // its beginning or an end is missing
    bool mid_sentence = false; // words of a person stand before it on its line
    bool forbidden = false;
    bool bare = false; // a register without its 0x
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint64_t value = 0; // register, exception class or CPU
    std::optional<std::uint64_t> address;
    std::optional<std::uint32_t> size;
    std::optional<std::uint32_t> code;
    std::optional<std::uint32_t> bdf;
    std::optional<std::uint64_t> info1;
    std::optional<std::uint64_t> info2;
    std::string_view name; // the cell's; empty when illegible
};

/// Every element that stands verbatim (white space apart) in `text`, in order.
void scan_traps(std::string_view text, std::vector<TrapFact>& facts);

/// ESR as an arm64 dump prints it: class, length bit, 25 bits of syndrome.
constexpr std::uint32_t compose_esr(std::uint64_t ec, std::uint64_t il, std::uint64_t iss) {
    return static_cast<std::uint32_t>((ec & 0x3f) << 26 | (il & 1) << 25 | (iss & 0x1ffffff));
}

/// What tells the text of one architecture from another outside the reports themselves (boot lines), if anything does.
TrapArch arch_of_console(std::string_view text);

} // namespace hil
