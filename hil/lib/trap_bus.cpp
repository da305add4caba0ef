// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_bus.hpp"

#include "hil/lib/cell_names.hpp"
#include "hil/lib/trap_json.hpp"

#include <algorithm>

namespace hil {

void explain_port(const TrapContext& known, TrapExplanation& out) {
    const TrapEvent& event = known.event();
    const CellConfig* config = known.config();
    const std::string port = event.address ? trap_hex(*event.address) : "?";
    out.cause = "no port region of the cell holds port " + port;
    if (config != nullptr && event.address) {
        for (const jh_pio& region : config->pio) {
            if (*event.address >= region.base && *event.address < std::uint64_t{region.base} + region.length) {
                out.cause = known.config_name() + " grants port " + port +
                            ": the cell that ran had another config, or the port "
                            "was taken by another cell";
                out.fix = "compare the config that was created with this file";
                return;
            }
        }
    }
    out.fix = "grant the ports, if the cell is meant to use that device";
    if (known.may_be_root()) {
        out.fix += std::string(known.in_root() ? "; where the system config has them"
                                               : "; if this is the root cell and "
                                                 "the system config has them") +
                   ", a cell that was created has taken them: give that cell another device, or keep the root's "
                   "driver off this one";
    }
    if (!event.address) {
        return;
    }
    const std::uint64_t base = *event.address & ~std::uint64_t{7};
    out.fix_yaml = "pio:\n  - {base: " + trap_hex(base) + ", length: 8}\n";
    out.fix_c = "PIO_RANGE(" + trap_hex(base) + ", 8),\n";
    if (event.pc && *event.pc < 0x100000 && out.device.empty()) {
        out.cause += "; the pc is in the first mebibyte: the inmate may be running off its image";
    }
}

void explain_pci_config(const TrapContext& known, TrapExplanation& out) {
    const TrapEvent& event = known.event();
    const CellConfig* config = known.config();
    out.cause = "the cell touched a PCI configuration register that it may not";
    out.fix = "grant the device, and for a write the capability with the write flag, in the cell's config";
    if (!event.pci_bdf) {
        return;
    }
    const std::string bdf = bdf_text(static_cast<std::uint16_t>(*event.pci_bdf));
    out.cause += ": device " + bdf + (event.address ? ", register " + trap_hex(*event.address) : "");
    if (config == nullptr) {
        return;
    }
    const auto& devices = config->pci_devices;
    const auto device = std::find_if(devices.begin(), devices.end(),
                                     [&event](const jh_pci_device& d) { return d.bdf == *event.pci_bdf; });
    if (device == devices.end()) {
        out.cause += "; " + known.config_name() + " does not give the cell that device";
        out.fix = "grant the device, if the cell is meant to have it";
        out.fix_yaml = "pci:\n  - {type: device, bdf: \"" + bdf + "\"}\n";
        out.fix_c = "{\n\t.type = JAILHOUSE_PCI_TYPE_DEVICE,\n\t.bdf = " + trap_hex(*event.pci_bdf) + ",\n},\n";
    } else if (device->type == JH_PCI_IVSHMEM) {
        out.cause += "; " + known.config_name() +
                     " has a virtual device there, of which little can be written: command, "
                     "base addresses and the ivshmem capability's control";
        out.fix = "keep the inmate from writing that register";
    } else {
        out.cause += "; " + known.config_name() + " gives the cell that device";
        out.fix = "add the capability that holds the register with the write flag, if the cell is meant to write it";
    }
}

} // namespace hil
