// SPDX-License-Identifier: Apache-2.0
// Synthetic panic reports from the grammar, and what consoles, mailers and people do to them. For tests and benchmarks.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace hil::generator {

using Random = std::mt19937_64;

inline std::uint64_t pick(Random& random, std::uint64_t below) {
    return random() % below;
}

template <typename... Arguments> std::string format(const char* pattern, Arguments... arguments) {
    char out[256];
    std::snprintf(out, sizeof out, pattern, arguments...);
    return out;
}

/// What a report says, and its text: lines that end in "\n".
struct Report {
    TrapArch arch = TrapArch::arm64;
    TrapKind kind = TrapKind::data;
    TrapAccess access = TrapAccess::unknown;
    std::optional<std::uint64_t> address;
    std::optional<std::uint32_t> size;
    std::optional<std::uint32_t> exception_class;
    std::uint32_t cpu = 0;
    std::string cell;
    TrapOutcome outcome = TrapOutcome::parked;
    std::uint64_t pc = 0;
    std::string text;
    std::size_t first_lines = 1; // lines ahead of the register dump
};

inline std::string cell_name(Random& random) {
    static const char* const names[] = {"inmate-1", "Board-Root", "worker.cell", "a b",
                                        "probe",    "x86-guest",  "linux-demo"};
    return names[pick(random, std::size(names))] +
           std::string(pick(random, 2) == 0 ? "" : std::to_string(pick(random, 90)));
}

inline std::uint64_t value(Random& random) {
    switch (pick(random, 4)) {
    case 0:
        return 0;
    case 1:
        return pick(random, 0x10000);
    case 2:
        return random() & 0xffffffff;
    default:
        return random();
    }
}

inline std::string end_line(Report& report, Random& random) {
    report.cpu = static_cast<std::uint32_t>(pick(random, 16));
    report.cell = cell_name(random);
    return format("%s CPU %u (Cell: \"%s\")\n", report.outcome == TrapOutcome::stopped ? "Stopping" : "Parking",
                  report.cpu, report.cell.c_str());
}

inline std::string arm64_dump(Report& report, Random& random, std::uint32_t ec, std::uint32_t iss, bool elr,
                              unsigned el) {
    using U = unsigned long long;
    report.pc = value(random);
    std::string out = format(" pc: %016llx   lr: %016llx spsr: %08x     EL%u\n", U{report.pc}, U{value(random)},
                             0x60000000u | el << 2 | (el != 0 ? 1u : 0u), el);
    out += elr ? format(" sp: %016llx  elr: %016llx  esr: %02x 1 %07x\n", U{value(random)}, U{report.pc}, ec, iss)
               : format(" sp: %016llx  esr: %02x 1 %07x\n", U{value(random)}, ec, iss);
    for (unsigned i = 0; i < 30; ++i) {
        out += format("%s%u: %016llx%s", i < 10 ? " x" : "x", i, U{value(random)}, i % 3 == 2 ? "\n" : "  ");
    }
    return out + "\n";
}

inline Report arm64_report(Random& random) {
    Report report;
    using U = unsigned long long;
    const std::uint64_t address = (value(random) & 0xfffffffff) | 0x1000;
    const bool write = pick(random, 2) == 0;
    const std::uint32_t log = static_cast<std::uint32_t>(pick(random, 4));
    std::uint32_t ec = 0x24;
    std::uint32_t iss = 0x1000000 | log << 22 | (write ? 0x40u : 0) | 0x6;
    std::string head;
    switch (pick(random, 6)) {
    case 0:
        ec = 0x20;
        iss = 0x86;
        report.kind = TrapKind::instruction;
        report.address = address;
        head = format("FATAL: instruction abort at 0x%llx\n\nFATAL: forbidden access (exception class 0x20)\n",
                      U{address});
        break;
    case 1:
        ec = 0x17;
        iss = 0;
        report.kind = TrapKind::smc;
        head = "Unhandled SMC arch trap 0\n\nFATAL: unhandled trap (exception class 0x17)\n";
        break;
    case 2:
        report.kind = TrapKind::pci_config;
        report.access = write ? TrapAccess::write : TrapAccess::read;
        report.address = pick(random, 64) * 4;
        report.size = 1u << log;
        head = format(
            "FATAL: Invalid PCI MMCONFIG %s, device %02x:%02x.%x, reg: 0x%llx, size: %u\n\nFATAL: forbidden access "
            "(exception class 0x24)\n",
            write ? "write" : "read", 0u, static_cast<unsigned>(pick(random, 32)), 0u, U{*report.address}, 1u << log);
        break;
    default:
        report.access = write ? TrapAccess::write : TrapAccess::read;
        report.address = address;
        report.size = 1u << log;
        head = format("Unhandled data %s at 0x%llx(%u)\n\nFATAL: unhandled trap (exception class 0x24)\n",
                      write ? "write" : "read", U{address}, 1u << log);
    }
    report.exception_class = ec;
    report.text = head + "Cell state before exception:\n" +
                  arm64_dump(report, random, ec, iss, pick(random, 3) != 0, 1) + "\n" + end_line(report, random);
    report.first_lines = 4;
    return report;
}

inline Report arm_report(Random& random) {
    Report report;
    report.arch = TrapArch::arm;
    const std::uint64_t address = (value(random) & 0xffffffff) | 0x100;
    const bool write = pick(random, 2) == 0;
    const std::uint32_t log = static_cast<std::uint32_t>(pick(random, 3));
    report.exception_class = 0x24;
    report.access = write ? TrapAccess::write : TrapAccess::read;
    report.address = address;
    report.size = 1u << log;
    report.pc = value(random) & 0xffffffff;
    report.text = format("Unhandled data %s at 0x%llx(%u)\nFATAL: unhandled trap (exception class 0x24)\n",
                         write ? "write" : "read", static_cast<unsigned long long>(address), 1u << log);
    report.text += format("pc=0x%08x cpsr=0x%08x hsr=0x%08x\n", static_cast<unsigned>(report.pc), 0x60000193u,
                          0x93000007u | log << 22 | (write ? 0x40u : 0u));
    for (unsigned i = 0; i < 15; ++i) {
        report.text += format("r%u=0x%08x%s", i, static_cast<unsigned>(value(random)), i % 4 == 3 ? "\n" : " ");
    }
    report.text += "\n" + end_line(report, random);
    report.first_lines = 2;
    return report;
}

inline Report x86_report(Random& random) {
    Report report;
    using U = unsigned long long;
    report.arch = TrapArch::x86;
    const bool write = pick(random, 2) == 0;
    const char* const word = write ? "write" : "read";
    report.access = write ? TrapAccess::write : TrapAccess::read;
    report.first_lines = 1;
    switch (pick(random, 5)) {
    case 0:
        report.kind = TrapKind::pio;
        report.address = pick(random, 0x10000);
        report.size = 1u << pick(random, 3);
        report.text = format("FATAL: Invalid PIO %s, port: %llx size: %u\n", word, U{*report.address}, *report.size);
        break;
    case 1:
        report.kind = TrapKind::mmio;
        report.address = random() >> 24;
        report.size = 1u << pick(random, 4);
        report.text =
            format("FATAL: Invalid MMIO/RAM %s, addr: 0x%016llx size: %u\n", word, U{*report.address}, *report.size);
        break;
    case 2:
        report.kind = TrapKind::msr;
        report.address = random() & 0xffffffff;
        report.text = format("FATAL: Unhandled MSR %s: %llx\n", word, U{*report.address});
        break;
    case 3:
        report.kind = TrapKind::apic;
        report.address = pick(random, 64) * 16;
        report.text =
            format("FATAL: Unhandled APIC access, offset %llu, is_write: %d\n", U{*report.address}, write ? 1 : 0);
        break;
    default:
        report.kind = TrapKind::vmexit;
        report.access = TrapAccess::unknown;
        report.text =
            format("FATAL: Unhandled VM-Exit, reason %llu\nqualification 0\nvectoring info: 0 interrupt info: 0\n",
                   U{pick(random, 60)});
        report.first_lines = 3;
    }
    report.pc = random() | 1;
    report.text +=
        format("RIP: 0x%016llx RSP: 0x%016llx FLAGS: %llx\n", U{report.pc}, U{random()}, U{pick(random, 0x1000)});
    report.text += format("RAX: 0x%016llx RBX: 0x%016llx RCX: 0x%016llx\n", U{random()}, U{random()}, U{value(random)});
    report.text += format("RDX: 0x%016llx RSI: 0x%016llx RDI: 0x%016llx\n", U{random()}, U{random()}, U{value(random)});
    report.text += "CS: 10 BASE: 0x0000000000000000 AR-BYTES: a09b EFER.LMA 1\n";
    report.text +=
        format("CR0: 0x%016llx CR3: 0x%016llx CR4: 0x%016llx\n", U{0x80050033}, U{value(random)}, U{0x3506e0});
    report.text += "EFER: 0x0000000000000d01\n" + end_line(report, random);
    return report;
}

inline Report hypervisor_report(Random& random) {
    Report report;
    report.kind = TrapKind::hyp;
    report.outcome = TrapOutcome::stopped;
    report.exception_class = 0x25;
    report.text = "FATAL: Unhandled HYP exception: synchronous abort from EL2\n" +
                  arm64_dump(report, random, 0x25, 0x46, true, 2) + "Hypervisor stack before exception " +
                  end_line(report, random);
    report.first_lines = 1;
    return report;
}

inline Report any_report(Random& random) {
    switch (pick(random, 8)) {
    case 0:
    case 1:
        return arm_report(random);
    case 2:
    case 3:
        return x86_report(random);
    case 4:
        return hypervisor_report(random);
    default:
        return arm64_report(random);
    }
}

inline std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t stop = std::min(text.find('\n'), text.size() - 1);
        lines.emplace_back(text.substr(0, stop + 1));
        text.remove_prefix(stop + 1);
    }
    return lines;
}

inline std::string kernel_line(Random& random) {
    static const char* const texts[] = {"usb 1-1: new high-speed USB device number 3 using ehci",
                                        "random: crng init done",
                                        "eth0: Link is Up - 1Gbps/Full - flow control rx/tx",
                                        "EXT4-fs (mmcblk0p2): mounted filesystem with ordered data mode",
                                        "systemd[1]: Started Journal Service.",
                                        "CPU1: Booted secondary processor 0x0000000001 [0x411fd070]"};
    return format("[%5llu.%06llu] %s\n", static_cast<unsigned long long>(pick(random, 4000)),
                  static_cast<unsigned long long>(pick(random, 1000000)), texts[pick(random, std::size(texts))]);
}

/// A piece of another writer: a prompt, an exit code, part of a kernel line.
inline std::string piece(Random& random) {
    switch (pick(random, 5)) {
    case 0:
        return "rc=0\r\n";
    case 1:
        return "hil# ";
    case 2:
        return "root@board:~# ls\r\n";
    case 3:
        return kernel_line(random);
    default: {
        const std::string line = kernel_line(random);
        return line.substr(0, 1 + pick(random, line.size() - 1));
    }
    }
}

} // namespace hil::generator
