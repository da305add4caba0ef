// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_access.hpp"

#include "hil/lib/trap_causes.hpp"
#include "hil/lib/trap_json.hpp"
#include "hil/lib/trap_syndrome.hpp"

#include <algorithm>

namespace hil {
namespace {

using K = TrapKind;

class AccessStory {
  public:
    AccessStory(const TrapContext& known, const AdviceDevice& device, TrapExplanation& out)
        : known_(known), event_(known.event()), config_(known.config()), config_name_(known.config_name()),
          advice_device_(device), out_(out) {}

    void tell() {
        if (event_.kind == K::instruction) {
            instruction_cause();
        } else if (known_.walked_off_ecam()) {
            ecam_cause();
        } else {
            access_cause();
        }
    }

  private:
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
            out_.cause += has ? "; " + config_name_ +
                                    " does have an ivshmem device, so the cell that ran had another config, or the "
                                    "inmate takes the window's address from elsewhere than the comm region"
                              : "; " + config_name_ + " indeed has none";
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

    /// Where the missing region belongs, when no config tells which cell this is.
    [[nodiscard]] std::string where_to_add() const {
        if (known_.before_any_cell()) {
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
        const std::string loading = known_.being_loaded();
        if (const auto [owner, region] = known_.may_be_root() ? known_.taken_by() : TrapContext::Taken{};
            owner != nullptr) {
            taken_cause(*owner, *region, loading);
            return;
        }
        if (known_.fetched_by_x86()) {
            x86_fetch_cause();
            return;
        }
        if (known_.in_page_table()) {
            page_table_cause();
            return;
        }
        const bool load = !loading.empty() && event_.access == TrapAccess::write &&
                          (known_.in_root() || (config_ == nullptr && guest_of(event_) != TrapGuest::user_program));
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
        const CellFile* file = known_.file();
        if (file == nullptr || !advice.region) {
            return advice;
        }
        const auto& names = file->named.names.memory;
        if (*advice.region < names.size() && !names[*advice.region].empty()) {
            AdviceDevice named = advice_device_;
            named.name = names[*advice.region];
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
            out_.cause = config_name_ + ": " + advice.cause + "; of an ivshmem device, this is " +
                         section.substr(0, section.find(':')) + no_syndrome();
            out_.fix = "leave the config as it is, and mend the program:" + section.substr(section.find(':') + 1);
            return;
        }
        if (advice.finding == RegionAdvice::Finding::covered) {
            out_.cause = config_name_ + ": " + advice.cause +
                         ": the cell that ran had another config, or another cell has taken "
                         "the memory since";
            out_.fix = "compare the config that was created with this file, and give the configs of all cells (--cell)";
            return;
        }
        out_.cause = config_ == nullptr ? "no region of the cell's config allows this access"
                                        : config_name_ + ": " + advice.cause;
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

    void x86_fetch_cause() {
        out_.pattern = "no-memory";
        out_.cause = "the cell executed at " + trap_hex(*event_.pc) +
                     ", where it has no memory (the hypervisor could not even read the instruction)";
        out_.fix = "give the cell RAM there, or load the image where it is linked and enter it there";
    }

    static std::string linux_memory_fix() {
        return "the guest is a kernel such as Linux and uses RAM that no region of its config maps, or that another "
               "cell took: let the memory regions cover all RAM that it uses (compare /proc/iomem), or limit it (mem=)";
    }

    void page_table_cause() {
        out_.pattern = "no-memory";
        out_.cause = "a page table of the guest lies at " + trap_hex(*event_.address & ~std::uint64_t{0xfff}) +
                     ", where it has no memory: the processor met that while it " +
                     (event_.kind == K::instruction ? "fetched an instruction" : "made an access");
        out_.fix = known_.runs_linux() ? linux_memory_fix() : "put the guest's page tables into RAM of its config";
    }

    void instruction_cause() {
        if (const auto [owner, region] =
                known_.may_be_root() && event_.address ? known_.taken_by() : TrapContext::Taken{};
            owner != nullptr) {
            taken_cause(*owner, *region, "");
            return;
        }
        if (known_.in_page_table() && event_.address) {
            page_table_cause();
        } else {
            out_.pattern = "no-memory";
            out_.cause = "the cell executed at " +
                         (event_.address ? trap_hex(*event_.address) : std::string("an unknown address")) +
                         ", where it has no memory that it may execute";
            out_.fix = known_.runs_linux()
                           ? linux_memory_fix()
                           : "make the cell's RAM large enough for the image and its stack, and load the "
                             "image where it is linked";
        }
        if (!event_.address || config_ == nullptr) {
            return;
        }
        const RegionAdvice advice = advise_region(config_, access(), advice_device_);
        out_.cause += "; " + config_name_ + ": " + advice.cause;
        out_.fix_yaml = advice.yaml;
        out_.fix_c = advice.c;
    }

    const TrapContext& known_;
    const TrapEvent& event_;
    const CellConfig* config_;
    std::string config_name_;
    const AdviceDevice& advice_device_;
    TrapExplanation& out_;
};

} // namespace

void explain_access(const TrapContext& known, const AdviceDevice& device, TrapExplanation& out) {
    AccessStory(known, device, out).tell();
}

} // namespace hil
