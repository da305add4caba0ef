// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_explain.hpp"

#include "hil/lib/cell_names.hpp"
#include "hil/lib/trap_advice.hpp"
#include "hil/lib/trap_board.hpp"
#include "hil/lib/trap_decoder.hpp"
#include "hil/lib/trap_json.hpp"
#include "hil/lib/trap_syndrome.hpp"
#include "hil/lib/trap_x86.hpp"

#include <algorithm>
#include <set>

namespace hil {

using R = TrapRegister;
using K = TrapKind;

/// Tells what happened, from one event and everything that is known around it.
class TrapStory {
  public:
    TrapStory(const TrapExplainer& known, const TrapEvent& event, std::string_view before)
        : known_(known), event_(event), before_(before) {}

    TrapExplanation tell() {
        find_config();
        find_device();
        find_place();
        find_cause();
        chain();
        out_.summary = summary();
        return std::move(out_);
    }

  private:
    [[nodiscard]] std::string cell() const {
        return event_.cell ? "cell \"" + *event_.cell + "\"" : "a cell that the text does not name";
    }
    [[nodiscard]] bool in_root() const { return config_ != nullptr && config_->is_system(); }

    void find_config() {
        for (const CellFile& file : known_.configs_) {
            const CellConfig& config = file.named.config;
            if (config.is_system()) {
                root_ = &config;
            }
            if (event_.cell && config.name() == *event_.cell) {
                config_ = &config;
                config_path_ = file.path.filename().string();
                devices_of_config_ = &file.devices;
            }
        }
    }

    void use(const CellDevice& device) {
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
        for (const DeviceTable* table : {&known_.devices_, devices_of_config_}) {
            if (const CellDevice* device = table == nullptr ? nullptr : table->at(address)) {
                use(*device);
                break;
            }
        }
        for (const Board& board : known_.boards_) {
            const CellDevice* best = nullptr;
            for (const CellDevice& device : board.devices) {
                if (address >= device.address && address - device.address < device.size &&
                    (best == nullptr || device.size < best->size)) {
                    best = &device;
                }
            }
            if (best != nullptr && out_.device.empty()) {
                use(*best);
            }
        }
        const BoardTable* board = board_for((event_.cell ? *event_.cell : std::string()) + " " + words_of_text());
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

    /// Names of cells ahead of the trap: they tell the board where the trapped cell's own name does not.
    [[nodiscard]] std::string words_of_text() const {
        std::string words;
        for (const CellFile& file : known_.configs_) {
            words += file.named.config.name() + " ";
        }
        for (std::size_t at = 0; words.size() < 400 && (at = before_.find("cell \"", at)) != std::string_view::npos;
             at += 6) {
            words += std::string(before_.substr(at + 6, before_.substr(at + 6, 32).find('"'))) + " ";
        }
        return words;
    }

    void find_place() {
        if (!event_.pc || known_.symbols_.empty()) {
            return;
        }
        const auto place = known_.symbols_.find(*event_.pc);
        if (place) {
            out_.place = place->function + (place->line.empty() ? "" : " at " + place->line) + " (" + place->file + ")";
        }
    }

    [[nodiscard]] bool walked_off_ecam() const {
        bool vendor = false;
        bool device = false;
        for (unsigned i = static_cast<unsigned>(R::x0); i <= static_cast<unsigned>(R::r14); ++i) {
            const auto value = event_.registers.get(static_cast<R>(i));
            vendor = vendor || value == 0x110a || value == 0x4106110a;
            device = device || value == 0x4106 || value == 0x4106110a;
        }
        return vendor && device && event_.kind == K::data && event_.access != TrapAccess::write;
    }

    void find_cause() {
        switch (event_.kind) {
        case K::data:
        case K::mmio:
            walked_off_ecam() ? ecam_cause() : access_cause();
            break;
        case K::instruction:
            instruction_cause();
            break;
        case K::pio:
            pio_cause();
            break;
        case K::msr:
            out_.cause = "the guest touched an MSR that the hypervisor neither passes through nor emulates";
            out_.fix =
                "no config line grants an MSR: keep the guest from using it (a kernel option, another CPU model, "
                "or a kernel without that driver)";
            break;
        case K::apic:
            out_.cause = "the guest programmed its local APIC in a way that the hypervisor refuses";
            out_.fix =
                "keep the guest from it; Linux: check the kernel options for the APIC and the performance counters";
            break;
        case K::pci_config:
            pci_cause();
            break;
        case K::smc:
            smc_cause();
            break;
        case K::hvc:
            out_.cause =
                "the guest made a hypervisor call that is none of Jailhouse's (its immediate is 0x4a48)" + immediate();
            out_.fix = "look at the instruction at the pc: a PSCI or KVM call by HVC, or a stray one";
            break;
        case K::vmexit:
            vmexit_cause();
            break;
        case K::hyp:
            hyp_cause();
            break;
        case K::other:
            if (event_.exception_class && event_.arch != TrapArch::x86) {
                out_.cause = "an exception of class " + trap_hex(*event_.exception_class) + " (" +
                             std::string(exception_class_name(*event_.exception_class)) +
                             ") that the hypervisor does not handle";
            }
            break;
        case K::unknown:
            out_.cause = "only the end of the report is there: what trapped cannot be said";
            out_.fix = "look for the lines above the Parking line in the console's log";
            break;
        }
    }

    [[nodiscard]] std::string immediate() const {
        return event_.syndrome ? "; this one has " + trap_hex(*event_.syndrome & 0xffff) : "";
    }

    void ecam_cause() {
        out_.cause =
            "the registers hold 0x110a and 0x4106, the ids of an ivshmem device: the inmate searched the virtual PCI "
            "bus for one, found none, and read on past the end of the configuration window (ECAM)";
        out_.fix =
            "the cell has no ivshmem device, or not on the bus that the inmate searches: add one to its config "
            "(type, bdf, first region, id, peers) with its shared-memory regions, and the peer in the other cell";
        out_.fix_yaml =
            "pci:\n  - type: ivshmem\n    domain: 1\n    bdf: \"00:00.0\"\n    first-region: <state table's region>\n"
            "    peer-id: 1\n    peers: 2\n    protocol: custom\n";
        out_.fix_c = "{\n\t.type = JAILHOUSE_PCI_TYPE_IVSHMEM,\n\t.domain = 1,\n\t.bdf = 0,\n\t.bar_mask = "
                     "JAILHOUSE_IVSHMEM_BAR_MASK_INTX,\n\t.shmem_regions_start = 0,\n\t.shmem_dev_id = "
                     "1,\n\t.shmem_peers = 2,\n},\n";
        if (config_ != nullptr) {
            const bool has = std::any_of(config_->pci_devices.begin(), config_->pci_devices.end(),
                                         [](const jh_pci_device& d) { return d.type == JH_PCI_IVSHMEM; });
            out_.cause += has ? "; " + config_path_ +
                                    " does have an ivshmem device, so the cell that ran had another config, or the "
                                    "inmate takes the window's address from elsewhere than the comm region"
                              : "; " + config_path_ + " indeed has none";
        }
    }

    [[nodiscard]] TrappedAccess access() const {
        TrappedAccess access;
        access.address = *event_.address;
        access.write = event_.access == TrapAccess::write;
        access.execute = event_.kind == K::instruction;
        access.size = event_.size && *event_.size > 0 && *event_.size <= 8 ? *event_.size : 4;
        const auto abort = event_.syndrome ? decode_abort(*event_.syndrome) : std::nullopt;
        access.size_known = event_.size && *event_.size > 0 && (!abort || abort->valid);
        return access;
    }

    /// A non-root cell's config that claims physical memory at the address and does not share it with the root.
    [[nodiscard]] const CellFile* taken_by() const {
        for (const CellFile& file : known_.configs_) {
            for (const jh_memory& region : file.named.config.memory) {
                if (!file.named.config.is_system() && (region.flags & (JH_MEM_ROOTSHARED | JH_MEM_COMM_REGION)) == 0 &&
                    physical_range(region).contains(*event_.address)) {
                    return &file;
                }
            }
        }
        return nullptr;
    }

    /// The cell whose loading was announced last ahead of the trap, when nothing of it happened since.
    [[nodiscard]] std::string being_loaded() const {
        const std::size_t at = before_.rfind("\" can be loaded");
        if (at == std::string_view::npos || before_.find("Started cell", at) != std::string_view::npos) {
            return "";
        }
        const std::size_t open = before_.substr(0, at).rfind('"');
        return open == std::string_view::npos ? "" : std::string(before_.substr(open + 1, at - open - 1));
    }

    [[nodiscard]] bool trapped_in_linux() const {
        if (event_.arch == TrapArch::arm64 && event_.pc && (*event_.pc >> 48) == 0xffff) {
            return true;
        }
        const auto spsr = event_.registers.get(R::a64_spsr);
        const auto cpsr = event_.registers.get(R::arm_cpsr);
        return (spsr && (*spsr & 0x1f) == 0) || (cpsr && (*cpsr & 0x1f) == 0x10) ||
               (event_.arch == TrapArch::arm && event_.pc && *event_.pc >= 0xbf000000);
    }

    [[nodiscard]] std::string no_syndrome() const {
        const auto abort = event_.syndrome ? decode_abort(*event_.syndrome) : std::nullopt;
        return abort && abort->data && !abort->valid ? " The processor gave no instruction syndrome (a pair, multiple, "
                                                       "vector or cache instruction), so the size "
                                                       "printed in brackets is not the access's."
                                                     : "";
    }

    void access_cause() {
        if (!event_.address) {
            out_.cause = "an access to an address that the hypervisor gives to nobody in this cell; the address is not "
                         "in the text";
            return;
        }
        const std::string loading = being_loaded();
        const bool root = in_root() || (config_ == nullptr && trapped_in_linux());
        if (const CellFile* owner = root ? taken_by() : nullptr) {
            const std::string name = owner->named.config.name();
            out_.cause = "the memory at " + trap_hex(*event_.address) + " belongs to cell \"" + name +
                         "\" since that was created: the root may no longer touch it" +
                         (loading.empty() ? "" : "; the root was writing the image of cell \"" + loading + "\"");
            out_.fix =
                loading.empty()
                    ? "keep the root off it, or mark the region root-shared in " + owner->path.filename().string()
                    : "mark the RAM of cell \"" + loading + "\" loadable, and let no other cell's region overlap it";
            return;
        }
        if (!loading.empty() && event_.access == TrapAccess::write && (config_ == nullptr || root)) {
            out_.cause = "`cell load` was writing the image of cell \"" + loading +
                         "\": its loadable RAM contains memory that the root does not own at " +
                         trap_hex(*event_.address) + " (never in the system config, or taken by another region)";
            out_.fix =
                "move that RAM to memory that the system config gives to the root, and that no shared region uses";
        }
        const RegionAdvice advice = advise_region(config_, access(), advice_device_);
        if (advice.finding == RegionAdvice::Finding::covered) {
            out_.cause = config_path_ + ": " + advice.cause +
                         ": the cell that ran had another config, or another cell has taken "
                         "the memory since";
            out_.fix = "compare the config that was created with this file, and give the configs of all cells (--cell)";
            return;
        }
        if (out_.cause.empty()) {
            out_.cause = config_ == nullptr ? "no region of the cell's config allows this access"
                                            : config_path_ + ": " + advice.cause;
            out_.fix = advice.fix;
            if (config_ == nullptr && trapped_in_linux()) {
                out_.fix += " (the pc is in a Linux: if that is the root cell, to the system config)";
            }
        }
        if (loading.empty() || config_ != nullptr) {
            out_.fix_yaml = advice.yaml;
            out_.fix_c = advice.c;
        }
        if (event_.arch == TrapArch::x86 && event_.size == 0u) {
            out_.cause += "; the hypervisor could not decode the instruction (size 0)";
        }
        out_.cause += no_syndrome();
    }

    void instruction_cause() {
        out_.cause = "the cell executed at " +
                     (event_.address ? trap_hex(*event_.address) : std::string("an unknown address")) +
                     ", where it has no memory that it may execute";
        out_.fix =
            "make the cell's RAM large enough for the image and its stack, and load the image where it is linked";
        if (!event_.address || config_ == nullptr) {
            return;
        }
        const RegionAdvice advice = advise_region(config_, access(), advice_device_);
        out_.cause += "; " + config_path_ + ": " + advice.cause;
        out_.fix_yaml = advice.yaml;
        out_.fix_c = advice.c;
    }

    void pio_cause() {
        const std::string port = event_.address ? trap_hex(*event_.address) : "?";
        out_.cause = "no port region of the cell holds port " + port;
        if (config_ != nullptr && event_.address) {
            for (const jh_pio& region : config_->pio) {
                if (*event_.address >= region.base && *event_.address < std::uint64_t{region.base} + region.length) {
                    out_.cause = config_path_ + " grants port " + port +
                                 ": the cell that ran had another config, or the port "
                                 "was taken by another cell";
                    out_.fix = "compare the config that was created with this file";
                    return;
                }
            }
        }
        const std::uint64_t base = event_.address ? *event_.address & ~std::uint64_t{7} : 0;
        out_.fix = "grant the ports, if the cell is meant to use that device";
        out_.fix_yaml = "pio:\n  - {base: " + trap_hex(base) + ", length: 8}\n";
        out_.fix_c = "PIO_RANGE(" + trap_hex(base) + ", 8),\n";
        if (event_.pc && *event_.pc < 0x100000) {
            out_.cause += "; the pc is in the first mebibyte: the inmate may be running off its image";
        }
    }

    void pci_cause() {
        out_.cause = "the cell touched a PCI configuration register that it may not";
        if (event_.pci_bdf) {
            out_.cause += ": device " + bdf_text(static_cast<std::uint16_t>(*event_.pci_bdf)) +
                          (event_.address ? ", register " + trap_hex(*event_.address) : "");
        }
        out_.fix = "grant the device, and for a write the capability with the write flag, in the cell's config";
    }

    void smc_cause() {
        const auto function = event_.arch == TrapArch::arm ? event_.registers.get(R::r0) : event_.registers.get(R::x0);
        out_.cause = "the guest called the secure firmware (SMC), which the hypervisor handles only for PSCI and the "
                     "architecture's own calls";
        if (function) {
            out_.cause += "; function " + trap_hex(*function);
        }
        out_.fix = "keep the guest from it: name the conduit hvc or leave the firmware driver out";
    }

    void vmexit_cause() {
        const auto code = event_.code;
        const bool amd = !event_.messages.empty() && event_.messages.back().find("#VMEXIT") != std::string::npos;
        const std::string name = !code ? "" : amd ? svm_exit_name(*code) : std::string(vmx_exit_name(*code));
        const bool triple = code && (amd ? *code == 0x7f : (*code & 0xffff) == 2);
        out_.cause = "the processor left the guest for a reason that the hypervisor does not handle";
        if (code) {
            out_.cause += ": " + (amd ? trap_hex(*code) : std::to_string(*code)) + (name.empty() ? "" : ", " + name);
        }
        if (const auto q = event_.registers.get(R::qualification); q && code && !amd) {
            const std::string text = vmx_qualification_text(*code, *q);
            out_.cause += text.empty() ? "" : " (" + text + ")";
        }
        out_.fix = triple ? "the guest faulted, and faulted again while handling that: look at its page tables (CR3), "
                            "its IDT and "
                            "the instruction at the pc; without an IDT any exception ends like this"
                          : "look at the instruction at the pc";
    }

    void hyp_cause() {
        out_.cause = "the hypervisor itself failed, not a cell";
        if (event_.code) {
            out_.cause += ": exception #" + std::to_string(*event_.code) + " (" +
                          std::string(x86_exception_name(*event_.code)) + ")";
            if (const auto error = event_.registers.get(R::error_code); error && *event_.code == 14) {
                out_.cause += ", " + page_fault_text(*error);
            }
        } else if (event_.syndrome) {
            out_.cause += ": " + describe_syndrome(*event_.syndrome, event_.arch);
        }
        out_.fix =
            "the machine must be reset; report it with the hypervisor's version, the system config and this dump";
    }

    /// "load failed, then start": the load is the cause.
    void chain() {
        const std::size_t started = before_.rfind("Started cell \"");
        if (started == std::string_view::npos || !event_.cell) {
            return;
        }
        const std::size_t close = before_.find('"', started + 14);
        if (close == std::string_view::npos || before_.substr(started + 14, close - started - 14) != *event_.cell) {
            return;
        }
        const std::size_t created = before_.substr(0, started).rfind("Created cell \"" + *event_.cell);
        const std::size_t failed = before_.substr(0, started).rfind("JAILHOUSE_CELL_LOAD: ");
        if (failed == std::string_view::npos || (created != std::string_view::npos && failed < created)) {
            return;
        }
        const auto line =
            before_.substr(failed, std::min(before_.find_first_of("\r\n", failed), before_.size()) - failed);
        const std::string effect = out_.cause;
        out_.cause = "the load failed before the start (" + std::string(line) +
                     "), so the cell ran without its image: that is the cause";
        if (!effect.empty()) {
            out_.cause += "; what followed: " + effect;
        }
        out_.fix = "make the load succeed first: the image must fit into the cell's loadable RAM at its load address";
    }

    [[nodiscard]] std::string what() const {
        std::string text;
        switch (event_.kind) {
        case K::instruction:
            text = "an instruction fetch";
            break;
        case K::data:
        case K::mmio:
            text = event_.access == TrapAccess::unknown ? "an access" : "a " + std::string(to_string(event_.access));
            break;
        case K::pio:
            text = "a port " + std::string(event_.access == TrapAccess::unknown ? "access" : to_string(event_.access));
            break;
        case K::msr:
            text = "an MSR " + std::string(event_.access == TrapAccess::unknown ? "access" : to_string(event_.access));
            break;
        case K::pci_config:
            text = "a PCI configuration " +
                   std::string(event_.access == TrapAccess::unknown ? "access" : to_string(event_.access));
            break;
        case K::apic:
            text = "an APIC " + std::string(event_.access == TrapAccess::unknown ? "access" : to_string(event_.access));
            break;
        case K::hvc:
            text = "a hypervisor call (HVC)";
            break;
        case K::smc:
            text = "a firmware call (SMC)";
            break;
        case K::vmexit:
            text = "a VM exit";
            break;
        case K::hyp:
            return "";
        default:
            text = "a trap";
        }
        const auto abort = event_.syndrome ? decode_abort(*event_.syndrome) : std::nullopt;
        if (event_.size && *event_.size > 0 && !(abort && abort->data && !abort->valid)) {
            text += " of " + std::to_string(*event_.size) + (*event_.size == 1 ? " byte" : " bytes");
        }
        if (event_.address) {
            text += (event_.kind == K::pio    ? " at port "
                     : event_.kind == K::apic ? " at offset "
                                              : " at ") +
                    trap_hex(*event_.address);
        }
        return text;
    }

    [[nodiscard]] std::string summary() const {
        std::string text = event_.cpu ? "CPU " + std::to_string(*event_.cpu) + " of " : "A CPU of ";
        text += cell();
        text += event_.outcome == TrapOutcome::parked    ? " was parked"
                : event_.outcome == TrapOutcome::stopped ? " was stopped"
                                                         : " trapped";
        text += event_.kind == K::hyp ? ": a fault in the hypervisor." : " after " + what() + ".";
        if (!out_.device.empty()) {
            text += " That is " + out_.device + ".";
        }
        if (!out_.place.empty()) {
            text += " The pc is in " + out_.place + ".";
        }
        if (!out_.cause.empty()) {
            text += " Cause: " + out_.cause + (out_.cause.ends_with('.') ? "" : ".");
        }
        if (!out_.fix.empty()) {
            text += " Fix: " + out_.fix + ".";
        }
        for (const std::string& note : event_.notes) {
            text += " Note: " + note + ".";
        }
        return text;
    }

    const TrapExplainer& known_;
    const TrapEvent& event_;
    std::string_view before_;
    const CellConfig* config_ = nullptr;
    const CellConfig* root_ = nullptr;
    const DeviceTable* devices_of_config_ = nullptr;
    std::string config_path_;
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
    text("device", explanation.device);
    text("cause", explanation.cause);
    text("fix", explanation.fix);
    text("fix_yaml", explanation.fix_yaml);
    text("fix_c", explanation.fix_c);
    text("place", explanation.place);
    text("summary", explanation.summary);
    return out;
}

nlohmann::ordered_json explain_text(const TrapExplainer& explainer, std::string_view text) {
    nlohmann::ordered_json events = nlohmann::ordered_json::array();
    nlohmann::ordered_json missing = nlohmann::ordered_json::array();
    const std::vector<TrapEvent> found = decode_traps(text);
    std::size_t offset = 0;
    std::uint64_t line = 1;
    std::size_t number = 0;
    for (const TrapEvent& event : found) {
        while (line < event.first_line) {
            const std::size_t newline = text.find('\n', offset);
            if (newline == std::string_view::npos) {
                break;
            }
            offset = newline + 1;
            ++line;
        }
        const std::size_t from = offset > 65536 ? offset - 65536 : 0;
        events.push_back(explained_json(event, explainer.explain(event, text.substr(from, offset - from))));
        ++number;
        for (const std::string& what : missing_from(event)) {
            const std::string where = found.size() == 1 ? "" : "event " + std::to_string(number) + ": ";
            missing.push_back(where + what);
        }
    }
    nlohmann::ordered_json out;
    out["events"] = std::move(events);
    out["missing"] = std::move(missing);
    return out;
}

} // namespace hil
