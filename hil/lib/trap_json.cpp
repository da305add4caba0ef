// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_json.hpp"

#include "hil/lib/trap_syndrome.hpp"

#include <cmath>
#include <cstdio>

namespace hil {
namespace {

using json = nlohmann::ordered_json;
using R = TrapRegister;

/// JSON must be valid UTF-8 whatever the console sent.
std::string printable(std::string_view text) {
    std::string out;
    for (char c : text) {
        out.push_back(c == '\n' || (c >= 0x20 && c < 0x7f) ? c : c == '\t' ? ' ' : c == '\r' ? '\n' : '?');
        if (c == '\r') {
            out.pop_back();
        }
    }
    return out;
}

template <typename T> json optional_number(const std::optional<T>& value) {
    return value ? json(*value) : json(nullptr);
}

template <typename T> json optional_hex(const std::optional<T>& value) {
    return value ? json(trap_hex(*value)) : json(nullptr);
}

json syndrome_json(const TrapEvent& event) {
    if (!event.syndrome) {
        return nullptr;
    }
    const std::uint32_t esr = *event.syndrome;
    json out;
    out["value"] = trap_hex(esr);
    out["class"] = trap_hex(exception_class_of(esr));
    out["class_name"] = exception_class_name(exception_class_of(esr));
    out["instruction_length"] = is_long_instruction(esr) ? 32 : 16;
    out["iss"] = trap_hex(iss_of(esr));
    if (const auto abort = decode_abort(esr)) {
        out["fault"] = fault_status_name(abort->status);
        out["table_walk"] = abort->walk;
        if (abort->data) {
            out["write"] = abort->write;
            out["valid"] = abort->valid;
            out["size"] = abort->valid ? json(abort->size) : json(nullptr);
            out["register"] = abort->valid ? json(abort->transfer) : json(nullptr);
        }
    }
    out["text"] = describe_syndrome(esr, event.arch);
    return out;
}

std::string bdf_text(std::uint32_t bdf) {
    std::array<char, 16> out{};
    std::snprintf(out.data(), out.size(), "%02x:%02x.%x", bdf >> 8 & 0xff, bdf >> 3 & 31, bdf & 7);
    return out.data();
}

} // namespace

std::string trap_hex(std::uint64_t value) {
    std::array<char, 24> out{};
    std::snprintf(out.data(), out.size(), "0x%llx", static_cast<unsigned long long>(value));
    return out.data();
}

json trap_json(const TrapEvent& event) {
    json out;
    out["arch"] = event.arch == TrapArch::unknown ? json(nullptr) : json(to_string(event.arch));
    out["kind"] = to_string(event.kind);
    out["access"] = event.access == TrapAccess::unknown ? json(nullptr) : json(to_string(event.access));
    out["address"] = optional_hex(event.address);
    out["size"] = optional_number(event.size);
    out["exception_class"] = optional_hex(event.exception_class);
    out["cpu"] = optional_number(event.cpu);
    out["cell"] = event.cell ? json(printable(*event.cell)) : json(nullptr);
    out["outcome"] = to_string(event.outcome);
    out["pc"] = optional_hex(event.pc);
    out["syndrome"] = syndrome_json(event);
    out["code"] = optional_number(event.code);
    out["pci_device"] = event.pci_bdf ? json(bdf_text(*event.pci_bdf)) : json(nullptr);
    const auto psr =
        event.arch == TrapArch::arm64 ? event.registers.get(R::a64_spsr) : event.registers.get(R::arm_cpsr);
    out["mode"] = psr ? json(describe_mode(static_cast<std::uint32_t>(*psr), event.arch)) : json(nullptr);
    json registers = json::object();
    for (std::size_t i = 0; i < trap_register_count; ++i) {
        const R reg = static_cast<R>(i);
        if (const auto value = event.registers.get(reg)) {
            registers[name_of(reg)] = trap_hex(*value);
        }
    }
    out["registers"] = registers;
    out["confidence"] = std::round(confidence_of(event) * 100) / 100;
    json inferred = json::array();
    for (std::size_t i = 0; i < static_cast<std::size_t>(TrapField::count); ++i) {
        if (event.inferred[i]) {
            inferred.push_back(to_string(static_cast<TrapField>(i)));
        }
    }
    out["inferred"] = inferred;
    json messages = json::array();
    for (const std::string& message : event.messages) {
        messages.push_back(printable(message));
    }
    out["messages"] = messages;
    out["notes"] = event.notes;
    out["missing"] = missing_from(event);
    out["lines"] = {event.first_line, event.last_line};
    out["text"] = printable(event.text);
    return out;
}

} // namespace hil
