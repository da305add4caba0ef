// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_explain.hpp"

#include "hil/lib/trap_access.hpp"
#include "hil/lib/trap_board.hpp"
#include "hil/lib/trap_bus.hpp"
#include "hil/lib/trap_causes.hpp"
#include "hil/lib/trap_context.hpp"
#include "hil/lib/trap_json.hpp"
#include "hil/lib/trap_x86.hpp"

namespace hil {

using K = TrapKind;

/// Tells what happened, from one event and everything that is known around it.
class TrapStory {
  public:
    TrapStory(const TrapExplainer& all, const TrapEvent& event, std::string_view before)
        : all_(all), event_(event), known_(event, before, all.configs_) {}

    TrapExplanation tell() {
        find_device();
        find_place();
        find_cause();
        name_the_failed_load();
        out_.summary = trap_summary(event_, out_);
        return std::move(out_);
    }

  private:
    void use_device(const CellDevice& device) {
        advice_device_ = {device.name, device.address, device.size, device.used_by_root};
        out_.device = device.name + (device.description.empty() ? "" : " (" + device.description + ")") + " + " +
                      trap_hex(*event_.address - device.address);
    }

    void find_device() {
        if (!event_.address) {
            return;
        }
        const std::uint64_t address = *event_.address;
        switch (event_.kind) {
        case K::pio:
            out_.device = pio_port_name(address);
            return;
        case K::msr:
            out_.device = msr_name(address);
            return;
        case K::apic:
            out_.device = "local APIC: " + apic_register_name(address);
            return;
        case K::data:
        case K::mmio:
        case K::instruction:
            break;
        default:
            return;
        }
        const DeviceTable* devices_of_config = known_.file() == nullptr ? nullptr : &known_.file()->devices;
        for (const DeviceTable* table : {&all_.devices_, devices_of_config}) {
            if (const CellDevice* device = table == nullptr ? nullptr : table->at(address)) {
                use_device(*device);
                break;
            }
        }
        for (const Board& board : all_.boards_) {
            const CellDevice* best = nullptr;
            for (const CellDevice& device : board.devices) {
                if (address >= device.address && address - device.address < device.size &&
                    (best == nullptr || device.size < best->size)) {
                    best = &device;
                }
            }
            if (best != nullptr && out_.device.empty()) {
                use_device(*best);
            }
        }
        const BoardTable* board =
            board_for((event_.cell ? *event_.cell : std::string()) + " " + known_.words_of_text());
        if (board == nullptr) {
            return;
        }
        const BoardDevice* device = device_at(*board, address);
        if (device != nullptr && out_.device.empty() && device->name != "dram") {
            advice_device_ = {std::string(device->name), device->address, device->size, false};
            out_.device = std::string(device->name) + " (" + std::string(device->description) + ", " +
                          std::string(board->name) + ") + " + trap_hex(address - device->address);
        }
        if (const auto gate = clock_register(*board, address); !gate.empty()) {
            out_.device += ": " + std::string(gate);
        }
    }

    void find_place() {
        if (!event_.pc || all_.symbols_.empty()) {
            return;
        }
        const auto place = all_.symbols_.find(*event_.pc);
        if (place) {
            out_.place = place->function + (place->line.empty() ? "" : " at " + place->line) + " (" + place->file + ")";
        }
    }

    void find_cause() {
        switch (event_.kind) {
        case K::data:
        case K::mmio:
        case K::instruction:
            explain_access(known_, advice_device_, out_);
            break;
        case K::pio:
            explain_port(known_, out_);
            break;
        case K::msr:
            use(msr_cause(event_));
            break;
        case K::apic:
            use(apic_cause(event_));
            break;
        case K::pci_config:
            explain_pci_config(known_, out_);
            break;
        case K::smc:
            use(smc_cause(event_));
            break;
        case K::hvc:
            use(hvc_cause(event_));
            break;
        case K::vmexit:
            use(vmexit_cause(event_));
            break;
        case K::hyp:
            use(hypervisor_cause(event_));
            break;
        case K::other:
            use(other_cause(event_));
            break;
        case K::unknown:
            out_.cause = "only the end of the report is there: what trapped cannot be said";
            out_.fix = "look for the lines above the Parking line in the console's log";
            break;
        }
    }

    void use(TrapCause told) {
        out_.cause = std::move(told.cause);
        out_.fix = std::move(told.fix);
    }

    /// "load failed, then start": the load is the cause.
    void name_the_failed_load() {
        const std::string_view line = known_.failed_load();
        if (line.empty()) {
            return;
        }
        const std::string effect = out_.cause;
        out_.pattern = "failed-load";
        out_.cause = "the load failed before the start (" + std::string(line) +
                     "), so the cell ran without its image: that is the cause";
        if (!effect.empty()) {
            out_.cause += "; what followed: " + effect;
        }
        out_.fix = "make the load succeed first: the image must fit into the cell's loadable RAM at its load address";
    }

    const TrapExplainer& all_;
    const TrapEvent& event_;
    TrapContext known_;
    AdviceDevice advice_device_;
    TrapExplanation out_;
};

Status TrapExplainer::add_device_tree(std::span<const uint8_t> blob, const std::string& name) {
    auto board = read_board(blob);
    if (!board) {
        return Error{name + ": " + board.error().message};
    }
    boards_.push_back(std::move(board).value());
    return Nothing{};
}

void TrapExplainer::add_devices(DeviceTable devices) {
    for (CellDevice& device : devices.devices) {
        devices_.devices.push_back(std::move(device));
    }
}

void TrapExplainer::add_config(CellFile file) {
    configs_.push_back(std::move(file));
}

TrapExplanation TrapExplainer::explain(const TrapEvent& event, std::string_view before) const {
    return TrapStory(*this, event, before).tell();
}

nlohmann::ordered_json explained_json(const TrapEvent& event, const TrapExplanation& explanation) {
    nlohmann::ordered_json out = trap_json(event);
    const auto text = [&out](const char* key, const std::string& value) {
        out[key] = value.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
    };
    if (event.arch == TrapArch::x86) {
        text("mode", x86_mode_text(event.registers));
    }
    text("device", explanation.device);
    text("cause", explanation.cause);
    text("fix", explanation.fix);
    text("fix_yaml", explanation.fix_yaml);
    text("fix_c", explanation.fix_c);
    text("pattern", explanation.pattern);
    text("place", explanation.place);
    text("summary", explanation.summary);
    return out;
}

} // namespace hil
