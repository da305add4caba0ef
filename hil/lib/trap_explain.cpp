// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_explain.hpp"

#include "hil/lib/cell_names.hpp"
#include "hil/lib/trap_advice.hpp"
#include "hil/lib/trap_board.hpp"
#include "hil/lib/trap_causes.hpp"
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
            if (event_.cell && config.name() == *event_.cell) {
                config_ = &config;
                names_ = &file.named.names;
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
            use(msr_cause(event_));
            break;
        case K::apic:
            use(apic_cause(event_));
            break;
        case K::pci_config:
            pci_cause();
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

    void ecam_cause() {
        out_.pattern = "ecam-walk";
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

    struct Taken {
        const CellFile* owner = nullptr;
        const jh_memory* region = nullptr;
    };

    /// A non-root cell's config that claims physical memory at the address and does not share it with the root.
    [[nodiscard]] Taken taken_by() const {
        for (const CellFile& file : known_.configs_) {
            for (const jh_memory& region : file.named.config.memory) {
                if (!file.named.config.is_system() && (region.flags & (JH_MEM_ROOTSHARED | JH_MEM_COMM_REGION)) == 0 &&
                    physical_range(region).contains(*event_.address)) {
                    return {&file, &region};
                }
            }
        }
        return {};
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

    /// Between the hypervisor's start and the first cell's creation there is nobody but the root.
    [[nodiscard]] bool before_any_cell() const {
        std::size_t start = std::string_view::npos;
        for (const std::string_view mark : {"Initializing Jailhouse hypervisor", "Page pool usage after late setup",
                                            "Activating hypervisor", "The Jailhouse is opening"}) {
            const std::size_t at = before_.rfind(mark);
            start = at == std::string_view::npos ? start : start == std::string_view::npos ? at : std::max(start, at);
        }
        return start != std::string_view::npos && before_.find("Created cell", start) == std::string_view::npos &&
               before_.find("Created Jailhouse cell", start) == std::string_view::npos;
    }

    /// Certain, or as good as: by config, by time, or by a pc that no bare-metal inmate has where no config tells.
    [[nodiscard]] bool may_be_root() const {
        return in_root() || (config_ == nullptr && (before_any_cell() || guest_of(event_) != TrapGuest::unknown));
    }

    /// Where the missing region belongs, when no config tells which cell this is.
    [[nodiscard]] std::string where_to_add() const {
        if (before_any_cell()) {
            return "add a region for it to the system config: no other cell had been created, so this is the root cell";
        }
        const TrapGuest guest = guest_of(event_);
        if (guest == TrapGuest::unknown) {
            return "add a region for it to the cell's config";
        }
        return std::string("add a region for it to the cell's config. ") +
               (guest == TrapGuest::kernel ? "The pc is in a kernel such as Linux: "
                                           : "A user program touched it, as through /dev/mem: ") +
               "if this is the root cell, add it to the system config, or, where it is there already, mark it "
               "root-shared in the config of the cell that took it";
    }

    [[nodiscard]] std::string no_syndrome() const {
        const auto abort = event_.syndrome ? decode_abort(*event_.syndrome) : std::nullopt;
        return abort && abort->data && !abort->valid
                   ? ". The processor gave no instruction syndrome (a pair, multiple, "
                     "vector or cache instruction), so the size printed in brackets "
                     "is not the access's"
                   : "";
    }

    /// The root touched what another cell owns: a device can be shared, a cell's RAM cannot.
    void taken_cause(const CellFile& owner, const jh_memory& region, const std::string& loading) {
        const std::string name = owner.named.config.name();
        const std::string file = owner.path.filename().string();
        out_.pattern = "taken-by-cell";
        out_.cause = "the memory at " + trap_hex(*event_.address) + " belongs to cell \"" + name +
                     "\" since that was created: the root may no longer touch it" +
                     (loading.empty() ? "" : "; the root was writing the image of cell \"" + loading + "\"");
        const bool ram = (region.flags & (JH_MEM_EXECUTE | JH_MEM_LOADABLE)) != 0;
        if (!loading.empty()) {
            out_.fix = "mark the RAM of cell \"" + loading + "\" loadable, and let no other cell's region overlap it";
        } else if (ram) {
            out_.fix = "that is the cell's RAM: keep the root off it while the cell exists; the root's Linux must not "
                       "use it either (mem=, or a reserved-memory node)";
        } else {
            out_.fix = "mark the region root-shared in " + file + ", or keep the root's driver off that device";
            const RegionAdvice shared = with_root_shared(region, advice_device_);
            out_.fix_yaml = shared.yaml;
            out_.fix_c = shared.c;
        }
    }

    void access_cause() {
        if (!event_.address) {
            out_.cause = "an access to an address that the hypervisor gives to nobody in this cell; the address is not "
                         "in the text";
            return;
        }
        const std::string loading = being_loaded();
        if (const auto [owner, region] = may_be_root() ? taken_by() : Taken{}; owner != nullptr) {
            taken_cause(*owner, *region, loading);
            return;
        }
        if (fetched_by_x86()) {
            x86_fetch_cause();
            return;
        }
        if (in_page_table()) {
            page_table_cause();
            return;
        }
        const bool load = !loading.empty() && event_.access == TrapAccess::write &&
                          (in_root() || (config_ == nullptr && guest_of(event_) != TrapGuest::user_program));
        if (load) {
            out_.pattern = "load-outside-root";
            out_.cause = "`cell load` was writing the image of cell \"" + loading +
                         "\": its loadable RAM contains memory that the root does not own at " +
                         trap_hex(*event_.address) + " (never in the system config, or taken by another region)";
            out_.fix =
                "move that RAM to memory that the system config gives to the root, and that no shared region uses";
            out_.cause += no_syndrome();
            return;
        }
        region_cause();
    }

    /// The lines for a region that is there carry the name that it has.
    [[nodiscard]] RegionAdvice named_advice() const {
        RegionAdvice advice = advise_region(config_, access(), advice_device_);
        if (names_ != nullptr && advice.region && *advice.region < names_->memory.size() &&
            !names_->memory[*advice.region].empty()) {
            AdviceDevice named = advice_device_;
            named.name = names_->memory[*advice.region];
            advice = advise_region(config_, access(), named);
        }
        return advice;
    }

    /// A section of a link that only others write: no right is missing, the program is wrong.
    [[nodiscard]] std::string foreign_section(std::size_t region) const {
        for (const jh_pci_device& device : config_->pci_devices) {
            if (device.type != JH_PCI_IVSHMEM || region < device.shmem_regions_start) {
                continue;
            }
            const std::size_t section = region - device.shmem_regions_start;
            if (section == 0) {
                return "the state table, which the hypervisor alone writes: write the device's state register instead";
            }
            if (section >= 2 && section - 2 < device.shmem_peers && section - 2 != device.shmem_dev_id) {
                return "the output section of peer " + std::to_string(section - 2) +
                       ", which that peer alone writes: write the own one, of peer " +
                       std::to_string(device.shmem_dev_id);
            }
        }
        return "";
    }

    /// Which region of the config is absent, too short or too narrow.
    void region_cause() {
        const RegionAdvice advice = named_advice();
        out_.pattern = to_string(advice.finding);
        if (const std::string section = advice.finding == RegionAdvice::Finding::rights && config_ != nullptr &&
                                                event_.access == TrapAccess::write
                                            ? foreign_section(*advice.region)
                                            : "";
            !section.empty()) {
            out_.cause = config_path_ + ": " + advice.cause + "; of an ivshmem device, this is " +
                         section.substr(0, section.find(':')) + no_syndrome();
            out_.fix = "leave the config as it is, and mend the program:" + section.substr(section.find(':') + 1);
            return;
        }
        if (advice.finding == RegionAdvice::Finding::covered) {
            out_.cause = config_path_ + ": " + advice.cause +
                         ": the cell that ran had another config, or another cell has taken "
                         "the memory since";
            out_.fix = "compare the config that was created with this file, and give the configs of all cells (--cell)";
            return;
        }
        out_.cause = config_ == nullptr ? "no region of the cell's config allows this access"
                                        : config_path_ + ": " + advice.cause;
        out_.fix = config_ == nullptr ? where_to_add() : advice.fix;
        if (out_.device.empty() && advice.finding == RegionAdvice::Finding::absent) {
            out_.fix += ". Which device that is, or whether it is RAM, the device tree (--dtb) or /proc/iomem of the "
                        "machine tells; the lines below map one page";
        }
        out_.fix_yaml = advice.yaml;
        out_.fix_c = advice.c;
        if (event_.arch == TrapArch::x86 && event_.size == 0u) {
            out_.cause += "; the hypervisor could not decode the instruction (size 0)";
        }
        out_.cause += no_syndrome();
    }

    /// On x86 a fetch from nowhere is reported as a read whose instruction could not be had.
    [[nodiscard]] bool fetched_by_x86() const {
        constexpr std::uint64_t page = 0xfff;
        const auto& messages = event_.messages;
        return event_.arch == TrapArch::x86 && event_.access != TrapAccess::write && event_.size == 0u && event_.pc &&
               (*event_.pc & ~page) == (*event_.address & ~page) &&
               std::any_of(messages.begin(), messages.end(), [](const std::string& message) {
                   return message.find("unable to get MMIO instruction") != std::string::npos;
               });
    }

    void x86_fetch_cause() {
        out_.pattern = "no-memory";
        out_.cause = "the cell executed at " + trap_hex(*event_.pc) +
                     ", where it has no memory (the hypervisor could not even read the instruction)";
        out_.fix = "give the cell RAM there, or load the image where it is linked and enter it there";
    }

    [[nodiscard]] bool runs_linux() const { return guest_of(event_) != TrapGuest::unknown || before_any_cell(); }

    static std::string linux_memory_fix() {
        return "the guest is a kernel such as Linux and uses RAM that no region of its config maps, or that another "
               "cell took: let the memory regions cover all RAM that it uses (compare /proc/iomem), or limit it (mem=)";
    }

    /// The processor trapped while it walked the guest's own page table (S1PTW).
    [[nodiscard]] bool in_page_table() const {
        const auto abort = event_.syndrome ? decode_abort(*event_.syndrome) : std::nullopt;
        return abort && abort->walk;
    }

    void page_table_cause() {
        out_.pattern = "no-memory";
        out_.cause = "a page table of the guest lies at " + trap_hex(*event_.address & ~std::uint64_t{0xfff}) +
                     ", where it has no memory: the processor met that while it " +
                     (event_.kind == K::instruction ? "fetched an instruction" : "made an access");
        out_.fix = runs_linux() ? linux_memory_fix() : "put the guest's page tables into RAM of its config";
    }

    void instruction_cause() {
        if (const auto [owner, region] = may_be_root() && event_.address ? taken_by() : Taken{}; owner != nullptr) {
            taken_cause(*owner, *region, "");
            return;
        }
        if (in_page_table() && event_.address) {
            page_table_cause();
        } else {
            out_.pattern = "no-memory";
            out_.cause = "the cell executed at " +
                         (event_.address ? trap_hex(*event_.address) : std::string("an unknown address")) +
                         ", where it has no memory that it may execute";
            out_.fix = runs_linux() ? linux_memory_fix()
                                    : "make the cell's RAM large enough for the image and its stack, and load the "
                                      "image where it is linked";
        }
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
        out_.fix = "grant the ports, if the cell is meant to use that device";
        if (may_be_root()) {
            out_.fix += std::string(in_root() ? "; where the system config has them"
                                              : "; if this is the root cell and "
                                                "the system config has them") +
                        ", a cell that was created has taken them: give that cell another device, or keep the root's "
                        "driver off this one";
        }
        if (!event_.address) {
            return;
        }
        const std::uint64_t base = *event_.address & ~std::uint64_t{7};
        out_.fix_yaml = "pio:\n  - {base: " + trap_hex(base) + ", length: 8}\n";
        out_.fix_c = "PIO_RANGE(" + trap_hex(base) + ", 8),\n";
        if (event_.pc && *event_.pc < 0x100000 && out_.device.empty()) {
            out_.cause += "; the pc is in the first mebibyte: the inmate may be running off its image";
        }
    }

    void pci_cause() {
        out_.cause = "the cell touched a PCI configuration register that it may not";
        out_.fix = "grant the device, and for a write the capability with the write flag, in the cell's config";
        if (!event_.pci_bdf) {
            return;
        }
        const std::string bdf = bdf_text(static_cast<std::uint16_t>(*event_.pci_bdf));
        out_.cause += ": device " + bdf + (event_.address ? ", register " + trap_hex(*event_.address) : "");
        if (config_ == nullptr) {
            return;
        }
        const auto& devices = config_->pci_devices;
        const auto device = std::find_if(devices.begin(), devices.end(),
                                         [this](const jh_pci_device& d) { return d.bdf == *event_.pci_bdf; });
        if (device == devices.end()) {
            out_.cause += "; " + config_path_ + " does not give the cell that device";
            out_.fix = "grant the device, if the cell is meant to have it";
            out_.fix_yaml = "pci:\n  - {type: device, bdf: \"" + bdf + "\"}\n";
            out_.fix_c = "{\n\t.type = JAILHOUSE_PCI_TYPE_DEVICE,\n\t.bdf = " + trap_hex(*event_.pci_bdf) + ",\n},\n";
        } else if (device->type == JH_PCI_IVSHMEM) {
            out_.cause += "; " + config_path_ +
                          " has a virtual device there, of which little can be written: command, "
                          "base addresses and the ivshmem capability's control";
            out_.fix = "keep the inmate from writing that register";
        } else {
            out_.cause += "; " + config_path_ + " gives the cell that device";
            out_.fix =
                "add the capability that holds the register with the write flag, if the cell is meant to write it";
        }
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
        out_.pattern = "failed-load";
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
        std::string text = event_.cpu ? "CPU " + std::to_string(*event_.cpu) : "A CPU";
        text += event_.kind == K::hyp && !event_.cell ? "" : " of " + cell();
        text += event_.outcome == TrapOutcome::parked    ? " was parked"
                : event_.outcome == TrapOutcome::stopped ? " was stopped"
                : event_.kind == K::hyp                  ? " failed"
                : event_.kind == K::unknown              ? " trapped"
                                                         : " trapped on";
        if (event_.kind == K::hyp) {
            text += ": a fault in the hypervisor.";
        } else if (event_.kind == K::unknown) {
            text += event_.outcome == TrapOutcome::unknown ? "." : " after a trap.";
        } else {
            text += (event_.outcome == TrapOutcome::unknown ? " " : " after ") + what() + ".";
        }
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
    const CellConfigNames* names_ = nullptr;
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
