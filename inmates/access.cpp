// SPDX-License-Identifier: Apache-2.0
// Loads and stores as the command line lists them, of any width, alignment and form; what was read goes to memory that
// another cell can read, so that no console line can be missed.
// Command line: ops=OP,OP,… results=0x… (a page; without it the values are printed) map=device|normal.
//   rN:ADDRESS           a load of N bytes (1, 2, 4, 8), zero-extended      sN:ADDRESS   sign-extended to 64 bits
//   aN:ADDRESS           load-acquire of N bytes
//   wN:ADDRESS:VALUE     a store of N bytes
//   rp:ADDRESS           a pair of registers       wp:ADDRESS:VALUE        the same for a store
//   ri:ADDRESS           a load of 4 bytes that writes the address register back
//   wi:ADDRESS:VALUE     the same for a store
//   rx:ADDRESS           load-exclusive of 4 bytes
//   x0:ADDRESS           a call
// Addresses and values are hexadecimal without 0x. The results: a word with the number of operations that are done, a
// word with the number of those that were begun, then from byte 8 on eight bytes for each operation. With resume=1 the
// begun ones are passed over: a cell whose operations end it one after the other is loaded once. The end is the cell's
// state, shut down.
#include "inmates/lib/inmate.hpp"

#include "bench/core/barrier.hpp"

using namespace inmate;

namespace {

constexpr std::uint64_t page = 0x1000;

struct Operation {
    char form = 0;
    char width = 0;
    std::uint64_t address = 0;
    std::uint64_t value = 0;
};

std::uint64_t hexadecimal(std::string_view& text) {
    std::uint64_t value = 0;
    while (!text.empty() && text.front() != ',' && text.front() != ':') {
        const char digit = text.front();
        value = value << 4 | static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
        text.remove_prefix(1);
    }
    return value;
}

/// Takes the first operation off the text.
Operation next_operation(std::string_view& text) {
    Operation operation;
    if (text.size() < 4) {
        text = {};
        return operation;
    }
    operation.form = text[0];
    operation.width = text[1];
    text.remove_prefix(3);
    operation.address = hexadecimal(text);
    if (!text.empty() && text.front() == ':') {
        text.remove_prefix(1);
        operation.value = hexadecimal(text);
    }
    if (!text.empty()) {
        text.remove_prefix(1);
    }
    return operation;
}

// A string cannot be in parentheses there.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define LOAD(instruction) asm volatile(instruction : "=r"(value) : "r"(address) : "memory")
#define STORE(instruction) asm volatile(instruction ::"r"(value), "r"(address) : "memory")
// NOLINTEND(bugprone-macro-parentheses)

[[gnu::noinline]] std::uint64_t load(char width, std::uint64_t address) {
    std::uint64_t value = 0;
    switch (width) {
    case '1':
        LOAD("ldrb %w0, [%1]");
        break;
    case '2':
        LOAD("ldrh %w0, [%1]");
        break;
    case '4':
        LOAD("ldr %w0, [%1]");
        break;
    case '8':
        LOAD("ldr %0, [%1]");
        break;
    case 'p':
        asm volatile("ldp %0, x9, [%1]\nadd %0, %0, x9" : "=&r"(value) : "r"(address) : "x9", "memory");
        break;
    case 'i':
        asm volatile("ldr %w0, [%1], #4" : "=&r"(value), "+r"(address)::"memory");
        break;
    default:
        LOAD("ldxr %w0, [%1]");
        break;
    }
    return value;
}

[[gnu::noinline]] std::uint64_t load_signed(char width, std::uint64_t address) {
    std::uint64_t value = 0;
    switch (width) {
    case '1':
        LOAD("ldrsb %0, [%1]");
        break;
    case '2':
        LOAD("ldrsh %0, [%1]");
        break;
    default:
        LOAD("ldrsw %0, [%1]");
        break;
    }
    return value;
}

[[gnu::noinline]] std::uint64_t load_acquire(char width, std::uint64_t address) {
    std::uint64_t value = 0;
    switch (width) {
    case '1':
        LOAD("ldarb %w0, [%1]");
        break;
    case '2':
        LOAD("ldarh %w0, [%1]");
        break;
    case '4':
        LOAD("ldar %w0, [%1]");
        break;
    default:
        LOAD("ldar %0, [%1]");
        break;
    }
    return value;
}

[[gnu::noinline]] void store(char width, std::uint64_t address, std::uint64_t value) {
    switch (width) {
    case '1':
        STORE("strb %w0, [%1]");
        break;
    case '2':
        STORE("strh %w0, [%1]");
        break;
    case '4':
        STORE("str %w0, [%1]");
        break;
    case '8':
        STORE("str %0, [%1]");
        break;
    case 'p':
        STORE("stp %0, %0, [%1]");
        break;
    default:
        asm volatile("str %w0, [%1], #4" : "+r"(value), "+r"(address)::"memory");
        break;
    }
}

[[gnu::noinline]] void call(std::uint64_t address) {
    asm volatile("blr %0" ::"r"(address) : "x30", "memory");
}

bool map_for(const Operation& operation, Memory memory) {
    const std::uint64_t first = operation.address & ~(page - 1);
    const std::uint64_t pages = (operation.address & (page - 1)) > page - 16 ? 2 : 1;
    const bool code = operation.form == 'x';
    return map(first, pages * page, code ? Memory::normal : memory, code ? Access::read_execute : Access::read_write);
}

std::uint64_t carry_out(const Operation& operation) {
    switch (operation.form) {
    case 'r':
        return load(operation.width, operation.address);
    case 's':
        return load_signed(operation.width, operation.address);
    case 'a':
        return load_acquire(operation.width, operation.address);
    case 'w':
        store(operation.width, operation.address, operation.value);
        return 0;
    default:
        call(operation.address);
        return 0;
    }
}

} // namespace

bool inmate_main() {
    const Memory memory = command_line_text("map", "device") == "normal" ? Memory::normal : Memory::device;
    const std::uint64_t results = command_line_number("results", 0);
    if (results != 0 && !map(results, page, Memory::normal)) {
        return false;
    }
    auto* done = reinterpret_cast<volatile std::uint32_t*>(results);
    auto* values = reinterpret_cast<volatile std::uint64_t*>(results + 8);
    const bool resume = results != 0 && command_line_number("resume", 0) != 0;
    const std::uint32_t begun = resume ? done[1] : 0;
    std::uint32_t count = 0;
    for (std::string_view text = command_line_text("ops", ""); !text.empty(); ++count) {
        const Operation operation = next_operation(text);
        if (count < begun) {
            continue;
        }
        if (operation.form == 0 || !map_for(operation, memory)) {
            println("access: operation ", count, " at ", hex(operation.address), " cannot be carried out");
            return false;
        }
        if (results != 0) {
            done[1] = count + 1;
            hil::bench::publish_barrier();
        }
        const std::uint64_t value = carry_out(operation);
        if (results != 0) {
            values[count] = value;
            hil::bench::publish_barrier();
            done[0] = count + 1;
        } else {
            println("access: ", hex(operation.address), " is ", hex(value));
        }
    }
    return true;
}
