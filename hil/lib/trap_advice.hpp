// SPDX-License-Identifier: Apache-2.0
// Region advice: which region of a cell's config is absent, too short, or has the wrong rights or IO width for an
// access.
#pragma once

#include "hil/lib/cell_config.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace hil {

/// The access that trapped.
struct TrappedAccess {
    std::uint64_t address = 0; // in the cell's address space
    std::uint32_t size = 4;    // bytes; 1 when not known
    bool size_known = true;
    bool write = false;
    bool execute = false;
};

/// The device behind the address, as far as known.
struct AdviceDevice {
    std::string name = "unknown-device"; // one word
    std::uint64_t address = 0;
    std::uint64_t size = 0; // 0: not known
    bool shared_with_root = false;
};

struct RegionAdvice {
    enum class Finding {
        absent,
        too_short,
        rights,
        io_width,
        covered // a region allows the access: the running config is another one, or the memory went to another cell
    };
    Finding finding = Finding::absent;
    std::optional<std::size_t> region; // index into config.memory
    std::string cause;
    std::string fix;
    std::string yaml;
    std::string c;
};

/// In one word, as `pattern` of an event: "region-absent".
std::string_view to_string(RegionAdvice::Finding finding);

/// The region as it is, shared with the root.
RegionAdvice with_root_shared(const jh_memory& region, const AdviceDevice& device);

/// config may be null: then the advice is the region to add, whatever else the cell has.
RegionAdvice advise_region(const CellConfig* config, const TrappedAccess& access, const AdviceDevice& device);

} // namespace hil
