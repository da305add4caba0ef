// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_grammar.hpp"

#include "hil/lib/trap_cursor.hpp"

#include <algorithm>
#include <array>

namespace hil {
namespace {

using K = TrapKind;
using A = TrapArch;
using R = TrapRegister;

// More specific forms first: the first that fits wins.
constexpr std::array<TrapForm, 46> forms{{
    {"Unhandled data %a at 0x%x(%d)", K::data, A::unknown, false},
    {"FATAL: instruction abort at 0x%x", K::instruction, A::unknown, false},
    {"FATAL: Unhandled HYP exception: ", K::hyp, A::unknown, false},
    {"FATAL: Unhandled HYP data abort exit at 0x%p", K::hyp, A::arm, false},
    {"Unhandled HYP data abort exit at 0x%p", K::hyp, A::arm, false},
    {"FATAL: Unhandled HYP ", K::hyp, A::unknown, false},
    {"Unhandled HYP ", K::hyp, A::unknown, false},
    {"FATAL: Jailhouse triggered exception #%c", K::hyp, A::x86, false},
    {"FATAL: Jailhouse triggered ", K::hyp, A::x86, false},
    {"FATAL: Invalid PIO %a, port: %x size: %d", K::pio, A::x86, false},
    {"FATAL: Invalid MMIO/RAM %a, addr: %x size: %d", K::mmio, A::x86, false},
    {"FATAL: Invalid MMIO %a, address: %x, size: %d", K::mmio, A::unknown, false},
    {"FATAL: Invalid MMIO %a, addr: %x, size: %d", K::mmio, A::unknown, false},
    {"FATAL: Invalid MMIO %a, address: %x", K::mmio, A::unknown, false},
    {"FATAL: Invalid PCI MMCONFIG %a, device %b, reg: %x, size: %d", K::pci_config, A::unknown, false},
    {"FATAL: Invalid PCI config %a, device %b, reg: %x, size: %d", K::pci_config, A::x86, false},
    {"FATAL: Invalid PCI config %a, device %b, reg: %x", K::pci_config, A::x86, false},
    {"FATAL: Invalid PCI config %a, port: %x, size %d, address port: %x", K::pci_config, A::x86, false},
    {"FATAL: Unhandled MSR %a: %x", K::msr, A::x86, false},
    {"FATAL: Unhandled VM-Exit, reason %c", K::vmexit, A::x86, false},
    {"FATAL: Unexpected #VMEXIT, exitcode %X, exitinfo1 %1 exitinfo2 %2", K::vmexit, A::x86, false},
    {"FATAL: Unexpected #VMEXIT, exitcode %X", K::vmexit, A::x86, false},
    {"FATAL: Unhandled APIC access, offset %o, is_write: %w", K::apic, A::x86, false},
    {"FATAL: Unsupported APIC access width %d", K::apic, A::x86, false},
    {"FATAL: Unsupported APIC access ", K::apic, A::x86, false},
    {"FATAL: Setting invalid LVT delivery mode ", K::apic, A::x86, true},
    {"FATAL: unsupported instruction ", K::other, A::x86, true},
    {"FATAL: unable to get MMIO instruction", K::other, A::x86, true},
    {"FATAL: unable to ", K::other, A::unknown, true},
    {"FATAL: Invalid PAT value: ", K::msr, A::x86, true},
    {"FATAL: Invalid PIO ", K::pio, A::x86, true},
    {"FATAL: Unhandled MSR ", K::msr, A::x86, true},
    {"FATAL: Invalid x2APIC ", K::apic, A::x86, true},
    {"FATAL: Unhandled x2APIC ", K::apic, A::x86, true},
    {"FATAL: Invalid IOAPIC ", K::mmio, A::x86, true},
    {"FATAL: Invalid ICR ", K::apic, A::x86, true},
    {"FATAL: Unsupported change to EFER", K::msr, A::x86, true},
    {"Unhandled SMC arch trap %c", K::smc, A::unknown, false},
    {"Unhandled SMC ", K::smc, A::unknown, false},
    {"Unhandled HVC ", K::hvc, A::unknown, false},
    {"FATAL: Unhandled SMC ", K::smc, A::unknown, false},
    {"FATAL: Unhandled HVC ", K::hvc, A::unknown, false},
    {"Unhandled CP15 ", K::other, A::arm, false},
    {"Unhandled sysreg ", K::other, A::arm64, false},
    {"Unhandled system register ", K::other, A::arm64, false},
    {"FATAL: Invalid MMIO/RAM ", K::mmio, A::x86, true},
}};

constexpr bool boundary_before(std::string_view text, const char* at) {
    return at == text.data() || !(is_digit(at[-1]) || is_alpha(at[-1]) || at[-1] == '_' || at[-1] == '.');
}

/// Matches a form from its byte `from` on at the cursor; fills the fact's holes.
bool match_form(TrapCursor cursor, const TrapForm& form, std::size_t from, TrapFact& fact, const char*& end) {
    std::string_view rest = form.pattern.substr(from);
    while (!rest.empty()) {
        const std::size_t hole = std::min(rest.find('%'), rest.size());
        if (!cursor.literal(rest.substr(0, hole))) {
            return false;
        }
        if (hole == rest.size()) {
            break;
        }
        const char type = rest[hole + 1];
        rest.remove_prefix(hole + 2);
        if (!match_trap_hole(cursor, type, rest.starts_with('('), fact)) {
            return false;
        }
    }
    fact.kind = form.kind;
    fact.arch = form.arch;
    fact.detail = form.detail;
    end = cursor.at();
    return true;
}

class Scanner {
  public:
    Scanner(std::string_view text, std::vector<TrapFact>& facts) : text_(text), facts_(facts) {}

    void run() {
        const char* end = text_.data() + text_.size();
        for (const char* p = text_.data(); p < end;) {
            if (*p <= '9') { // blanks, digits and most punctuation begin nothing
                ++p;
                continue;
            }
            const char* next = at(p);
            p = next == nullptr ? p + 1 : next;
        }
    }

  private:
    TrapCursor cursor(const char* p) const { return {p, text_.data() + text_.size()}; }

    TrapFact& add(TrapFactType type, const char* begin, const char* end) {
        TrapFact& fact = facts_.emplace_back();
        fact.type = type;
        fact.begin = static_cast<std::uint32_t>(begin - text_.data());
        fact.end = static_cast<std::uint32_t>(end - text_.data());
        return fact;
    }

    /// The end of the element that begins at p, or nullptr.
    const char* at(const char* p) {
        switch (*p) {
        case 'x':
            return row_register(p);
        case 'F':
            return fatal(p);
        case 'U':
            return head(p);
        case 'n':
            return beheaded(p);
        case 'u':
        case 'f':
            return class_line(p);
        case 'P':
            return p[0] == 'P' ? park(p, "Parking CPU ", TrapFactType::park, physical(p)) : nullptr;
        case 'S':
            return park(p, "Stopping CPU ", TrapFactType::stop, nullptr);
        case 'm':
            return gap(p);
        case 'C':
        case 'R':
        case 'E':
        case 'A':
        case 'B':
        case 'q':
        case 'v':
        case 'i':
            return x86(p);
        case 'p':
        case 'l':
        case 's':
        case 'e':
        case 'r':
        case 'c':
        case 'h':
        case 'H':
            return arm(p);
        default:
            return nullptr;
        }
    }

    const char* physical(const char* p) {
        TrapCursor c = cursor(p);
        std::uint64_t value = 0;
        if (c.literal("Physical CPU ID: ") && c.decimal(value)) {
            return reg(R::physical_cpu, value, p, c.at());
        }
        return nullptr;
    }

    const char* reg(R name, std::uint64_t value, const char* begin, const char* end) {
        TrapFact& fact = add(TrapFactType::reg, begin, end);
        fact.reg = name;
        fact.arch = arch_of(name);
        fact.value = value;
        return end;
    }

    const char* fixed(const char* p, std::string_view label, R name, unsigned digits, bool prefixed) {
        TrapCursor c = cursor(p);
        std::uint64_t value = 0;
        if (!c.literal(label) || (prefixed && !c.literal("0x")) || !c.hex_fixed(digits, value)) {
            return nullptr;
        }
        return reg(name, value, p, c.at());
    }

    /// x0…x29 of arm64.
    const char* row_register(const char* p) {
        TrapCursor c = cursor(p + 1);
        std::uint64_t number = 0;
        std::uint64_t value = 0;
        if (!boundary_before(text_, p) || !c.digits(number) || number > 29 || !c.literal(":") ||
            !c.hex_fixed(16, value)) {
            return nullptr;
        }
        return reg(static_cast<R>(static_cast<unsigned>(R::x0) + number), value, p, c.at());
    }

    const char* arm(const char* p) {
        if (!boundary_before(text_, p)) {
            return nullptr;
        }
        switch (*p) {
        case 'p':
            if (const char* end = fixed(p, "pc:", R::a64_pc, 16, false)) {
                return end;
            }
            return fixed(p, "pc=", R::arm_pc, 8, true);
        case 'l':
            return fixed(p, "lr:", R::a64_lr, 16, false);
        case 's':
            return stack_or_spsr(p);
        case 'e':
            return elr_or_esr(p);
        case 'c':
            return fixed(p, "cpsr=", R::arm_cpsr, 8, true);
        case 'h':
            return fixed(p, "hsr=", R::arm_hsr, 8, true);
        case 'H':
            return fixed(p, "HSR: ", R::arm_hsr, 8, true);
        default:
            return arm_row_register(p);
        }
    }

    const char* arm_row_register(const char* p) {
        TrapCursor c = cursor(p + 1);
        std::uint64_t number = 0;
        std::uint64_t value = 0;
        if (!c.digits(number) || number > 14 || !c.literal("=0x") || !c.hex_fixed(8, value)) {
            return nullptr;
        }
        return reg(static_cast<R>(static_cast<unsigned>(R::r0) + number), value, p, c.at());
    }

    const char* stack_or_spsr(const char* p) {
        TrapCursor c = cursor(p);
        std::uint64_t value = 0;
        if (c.literal("spsr:") && c.hex_fixed(8, value)) {
            const char* end = reg(R::a64_spsr, value, p, c.at());
            if (c.literal(" EL") && !c.done() && is_digit(c.peek())) {
                add(TrapFactType::level, c.at() - 2, c.at() + 1).value = hex_digit(c.peek());
                end = c.at() + 1;
            }
            return end;
        }
        return fixed(p, "sp:", R::a64_sp, 16, false);
    }

    const char* elr_or_esr(const char* p) {
        if (const char* end = fixed(p, "elr:", R::a64_elr, 16, false)) {
            return end;
        }
        TrapCursor c = cursor(p);
        std::uint64_t ec = 0;
        std::uint64_t il = 0;
        std::uint64_t iss = 0;
        if (c.literal("esr: ") && c.hex_fixed(2, ec) && c.literal(" ") && c.hex_fixed(1, il) && il <= 1 &&
            c.literal(" ") && c.hex_fixed(7, iss) && ec <= 0x3f && iss <= 0x1ffffff) {
            return reg(R::a64_esr, compose_esr(ec, il, iss), p, c.at());
        }
        if (const char* end = fixed(p, "exitinfo1 0x", R::exitinfo1, 16, false)) {
            return end;
        }
        return fixed(p, "exitinfo2 0x", R::exitinfo2, 16, false);
    }

    const char* x86(const char* p);
    const char* x86_variable(const char* p, std::string_view label, R name);
    const char* x86_wide(const char* p, std::string_view label, R name);

    /// A form that begins with `prefix`, which ends in a space.
    const char* form(const char* p, std::string_view prefix) {
        TrapCursor after = cursor(p);
        if (!after.literal(prefix) || after.done()) {
            return nullptr;
        }
        for (const TrapForm& candidate : forms) {
            if (!candidate.pattern.starts_with(prefix) || candidate.pattern[prefix.size()] != after.peek()) {
                continue;
            }
            TrapFact fact;
            const char* end = nullptr;
            if (match_form(after, candidate, prefix.size(), fact, end)) {
                fact.begin = static_cast<std::uint32_t>(p - text_.data());
                fact.end = static_cast<std::uint32_t>(end - text_.data());
                fact.mid_sentence = words_before(p);
                facts_.push_back(fact);
                return end;
            }
        }
        return nullptr;
    }

    const char* head(const char* p) { return form(p, "Unhandled "); }

    /// "nhandled data read at 0x…(4)": another writer's bytes stand between its first letter and the rest, or it is cut
    /// off. A small u means that a person wrote the line again: that is not evidence.
    const char* beheaded(const char* p) {
        if (p > text_.data() && (p[-1] == 'U' || p[-1] == 'u')) {
            return nullptr;
        }
        TrapCursor c = cursor(p);
        if (!c.literal("nhandled data ")) {
            return nullptr;
        }
        static constexpr TrapForm rest{"nhandled data %a at 0x%x(%d)", K::data, A::unknown, false};
        TrapFact fact;
        const char* end = nullptr;
        if (!match_form(cursor(p), rest, 0, fact, end)) {
            return nullptr;
        }
        fact.damaged = true;
        fact.begin = static_cast<std::uint32_t>(p - text_.data());
        fact.end = static_cast<std::uint32_t>(end - text_.data());
        facts_.push_back(fact);
        return end;
    }

    const char* fatal(const char* p) {
        TrapCursor c = cursor(p);
        if (!c.literal("FATAL:")) {
            return nullptr;
        }
        TrapCursor after = c;
        after.skip_space();
        if (const char* end = class_line(after.at(), p)) {
            return end;
        }
        if (const char* end = form(p, "FATAL: ")) {
            return end;
        }
        const char* stop = std::find(c.at(), text_.data() + text_.size(), '\n');
        TrapFact& fact = add(TrapFactType::head, p, stop);
        fact.detail = true;
        fact.unknown_form = true;
        return c.at();
    }

    const char* class_line(const char* p, const char* fatal = nullptr) {
        TrapCursor c = cursor(p);
        const bool forbidden = !c.done() && c.peek() == 'f';
        std::uint64_t value = 0;
        if (!c.literal(forbidden ? "forbidden access (exception class 0x" : "unhandled trap (exception class 0x") ||
            !c.hex_digits(value, 2) || !c.literal(")")) {
            return nullptr;
        }
        TrapFact& fact = add(TrapFactType::exception_class, fatal == nullptr ? p : fatal, c.at());
        fact.value = value;
        fact.forbidden = forbidden;
        fact.damaged = fatal == nullptr;
        fact.mid_sentence = fatal != nullptr && words_before(fatal);
        return c.at();
    }

    const char* park(const char* p, std::string_view label, TrapFactType type, const char* other) {
        if (other != nullptr) {
            return other;
        }
        TrapCursor c = cursor(p);
        std::uint64_t cpu = 0;
        if (!c.literal(label) || !c.digits(cpu) || cpu > 4095) {
            return nullptr;
        }
        const char* end = c.at();
        std::string_view name;
        if (c.literal(" (Cell: \"")) {
            name = c.quoted();
            end = name.empty() ? end : name.data() + name.size() + 1;
            name = closes_later(end) ? std::string_view{} : name;
        } else if (!cursor(end).at_line_end()) {
            return nullptr; // a person writes about it
        }
        TrapFact& fact = add(type, p, end);
        fact.value = cpu;
        fact.name = name;
        return end;
    }

    /// The quote before p is not the name's end: no parenthesis follows it, but another quote with one.
    bool closes_later(const char* p) const {
        const std::string_view all = text_.substr(static_cast<std::size_t>(p - text_.data()));
        const std::string_view rest = all.substr(0, all.find('\n'));
        return !rest.starts_with(')') && rest.find("\")") != std::string_view::npos;
    }

    const char* gap(const char* p) {
        TrapCursor c = cursor(p);
        std::uint64_t value = 0;
        if (!c.literal("missed ") || !c.digits(value) || !c.literal(" bytes")) {
            return nullptr;
        }
        add(TrapFactType::gap, p, c.at());
        return c.at();
    }

    /// At least two words of prose before p on its line.
    bool words_before(const char* p) const {
        std::size_t words = 0;
        std::size_t letters = 0;
        for (const char* q = p; q > text_.data() && q[-1] != '\n'; --q) {
            letters = q[-1] >= 'a' && q[-1] <= 'z' ? letters + 1 : 0;
            words += letters == 3 ? 1 : 0;
        }
        return words >= 2;
    }

    std::string_view text_;
    std::vector<TrapFact>& facts_;
};

const char* Scanner::x86_wide(const char* p, std::string_view label, R name) {
    TrapCursor c = cursor(p);
    std::uint64_t value = 0;
    if (!c.literal(label)) {
        return nullptr;
    }
    const bool prefixed = c.literal("0x");
    if (!c.hex_fixed(16, value) || (!prefixed && !c.done() && c.peek() == ':')) {
        return nullptr;
    }
    const char* end = reg(name, value, p, c.at());
    facts_.back().bare = !prefixed;
    return end;
}

const char* Scanner::x86_variable(const char* p, std::string_view label, R name) {
    TrapCursor c = cursor(p);
    std::uint64_t value = 0;
    if (!c.literal(label)) {
        return nullptr;
    }
    static_cast<void>(c.literal("0x"));
    return c.hex_digits(value, 16) ? reg(name, value, p, c.at()) : nullptr;
}

const char* Scanner::x86(const char* p) {
    struct Label {
        std::string_view text;
        R reg;
        bool wide;
    };
    static constexpr std::array<Label, 21> labels{{
        {"RIP: ", R::rip, true},
        {"RAX: ", R::rax, true},
        {"RBX: ", R::rbx, true},
        {"RCX: ", R::rcx, true},
        {"RDX: ", R::rdx, true},
        {"RSI: ", R::rsi, true},
        {"RDI: ", R::rdi, true},
        {"RSP: ", R::rsp, true},
        {"CR0: ", R::cr0, true},
        {"CR2: ", R::cr2, true},
        {"CR3: ", R::cr3, true},
        {"CR4: ", R::cr4, true},
        {"BASE: ", R::cs_base, true},
        {"EFER: ", R::efer, true},
        {"EFER.LMA ", R::lma, false},
        {"AR-BYTES: ", R::ar_bytes, false},
        {"Error code: ", R::error_code, false},
        {"CS: ", R::cs, false},
        {"qualification ", R::qualification, false},
        {"vectoring info: ", R::vectoring_info, false},
        {"interrupt info: ", R::interrupt_info, false},
    }};
    if (!boundary_before(text_, p)) {
        return nullptr;
    }
    for (const Label& label : labels) {
        if (label.text[0] != *p) {
            continue;
        }
        const char* end = label.wide ? x86_wide(p, label.text, label.reg) : x86_variable(p, label.text, label.reg);
        if (end == nullptr) {
            continue;
        }
        if (label.reg == R::rsp) { // FLAGS ends that row
            TrapCursor c = cursor(end);
            std::uint64_t value = 0;
            const char* begin = c.at();
            if (c.literal(" FLAGS: ") && c.hex_digits(value, 16)) {
                return reg(R::flags, value, begin, c.at());
            }
        }
        return end;
    }
    if (*p == 'C') {
        TrapCursor c = cursor(p);
        if (c.literal("Cell state before exception")) {
            add(TrapFactType::cell_state, p, c.at());
            return c.at();
        }
    }
    return nullptr;
}

/// "x29: … x28: …" is a kernel's own dump: Jailhouse counts upwards.
void drop_descending(std::vector<TrapFact>& facts) {
    std::vector<bool> foreign(facts.size(), false);
    bool any = false;
    for (std::size_t i = 0; i + 1 < facts.size(); ++i) {
        const TrapFact& a = facts[i];
        const TrapFact& b = facts[i + 1];
        if (a.type == TrapFactType::reg && b.type == TrapFactType::reg && a.arch == A::arm64 && a.reg > R::x0 &&
            static_cast<unsigned>(b.reg) + 1 == static_cast<unsigned>(a.reg)) {
            foreign[i] = foreign[i + 1] = any = true;
        }
    }
    if (any) {
        std::size_t index = 0;
        std::erase_if(facts, [&](const TrapFact&) { return foreign[index++]; });
    }
}

} // namespace

std::span<const TrapForm> trap_forms() {
    return forms;
}

bool match_trap_hole(TrapCursor& cursor, char type, bool before_parenthesis, TrapFact& fact) {
    std::uint64_t value = 0;
    switch (type) {
    case 'a':
        if (cursor.literal("read")) {
            fact.access = TrapAccess::read;
        } else if (cursor.literal("write")) {
            fact.access = TrapAccess::write;
        } else {
            return false;
        }
        return true;
    case 'x':
        cursor.skip_space();
        static_cast<void>(cursor.literal("0x"));
        if (!(before_parenthesis ? cursor.hex_until_parenthesis(value) : cursor.hex_digits(value, 16))) {
            return false;
        }
        if (!fact.address) {
            fact.address = value;
        }
        return true;
    case 'p': // an address that is not the accessed one
        return cursor.hex_digits(value, 16);
    case 'd':
        if (!cursor.decimal(value) || value > 4096) {
            return false;
        }
        fact.size = static_cast<std::uint32_t>(value);
        return true;
    case 'o':
        if (!cursor.decimal(value)) {
            return false;
        }
        fact.address = value;
        return true;
    case 'w':
        if (!cursor.decimal(value) || value > 1) {
            return false;
        }
        fact.access = value == 1 ? TrapAccess::write : TrapAccess::read;
        return true;
    case 'c':
        if (!cursor.decimal(value)) {
            return false;
        }
        fact.code = static_cast<std::uint32_t>(value);
        return true;
    case 'X':
        static_cast<void>(cursor.literal("0x"));
        if (!cursor.hex_digits(value, 8)) {
            return false;
        }
        fact.code = static_cast<std::uint32_t>(value);
        return true;
    case '1':
    case '2':
        static_cast<void>(cursor.literal("0x"));
        if (!cursor.hex_digits(value, 16)) {
            return false;
        }
        (type == '1' ? fact.info1 : fact.info2) = value;
        return true;
    case 'b': {
        std::uint64_t bus = 0;
        std::uint64_t device = 0;
        std::uint64_t function = 0;
        cursor.skip_space();
        if (!cursor.hex_digits(bus, 2) || !cursor.literal(":") || !cursor.hex_digits(device, 2) ||
            !cursor.literal(".") || !cursor.hex_digits(function, 1)) {
            return false;
        }
        fact.bdf = static_cast<std::uint32_t>(bus << 8 | device << 3 | function);
        return true;
    }
    default:
        return false;
    }
}

void scan_traps(std::string_view text, std::vector<TrapFact>& facts) {
    facts.clear();
    Scanner(text, facts).run();
    drop_descending(facts);
}

TrapArch arch_of_console(std::string_view text) {
    const std::size_t location = text.find("Code location: 0x");
    if (location != std::string_view::npos) {
        const auto digits = text.substr(location + 17, 17);
        const auto stop = std::find_if_not(digits.begin(), digits.end(), is_hex);
        const auto length = stop - digits.begin();
        if (length == 16) {
            return digits.starts_with("ffff") ? A::x86 : A::arm64;
        }
        return length == 8 ? A::arm : A::unknown;
    }
    return A::unknown;
}

} // namespace hil
