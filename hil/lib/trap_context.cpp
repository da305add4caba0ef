// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_context.hpp"

#include "hil/lib/cell_range.hpp"
#include "hil/lib/trap_causes.hpp"
#include "hil/lib/trap_syndrome.hpp"

#include <algorithm>

namespace hil {

using R = TrapRegister;
using K = TrapKind;

TrapContext::TrapContext(const TrapEvent& event, std::string_view before, std::span<const CellFile> configs)
    : event_(event), before_(before), configs_(configs) {
    for (const CellFile& file : configs_) {
        if (event_.cell && file.named.config.name() == *event_.cell) {
            file_ = &file;
            config_ = &file.named.config;
        }
    }
}

std::string TrapContext::config_name() const {
    return file_ == nullptr ? "" : file_->path.filename().string();
}

bool TrapContext::in_root() const {
    return config_ != nullptr && config_->is_system();
}

std::string TrapContext::words_of_text() const {
    std::string words;
    for (const CellFile& file : configs_) {
        words += file.named.config.name() + " ";
    }
    for (std::size_t at = 0; words.size() < 400 && (at = before_.find("cell \"", at)) != std::string_view::npos;
         at += 6) {
        words += std::string(before_.substr(at + 6, before_.substr(at + 6, 32).find('"'))) + " ";
    }
    return words;
}

TrapContext::Taken TrapContext::taken_by() const {
    for (const CellFile& file : configs_) {
        for (const jh_memory& region : file.named.config.memory) {
            if (!file.named.config.is_system() && (region.flags & (JH_MEM_ROOTSHARED | JH_MEM_COMM_REGION)) == 0 &&
                physical_range(region).contains(*event_.address)) {
                return {&file, &region};
            }
        }
    }
    return {};
}

std::string TrapContext::being_loaded() const {
    const std::size_t at = before_.rfind("\" can be loaded");
    if (at == std::string_view::npos || before_.find("Started cell", at) != std::string_view::npos) {
        return "";
    }
    const std::size_t open = before_.substr(0, at).rfind('"');
    return open == std::string_view::npos ? "" : std::string(before_.substr(open + 1, at - open - 1));
}

bool TrapContext::before_any_cell() const {
    std::size_t start = std::string_view::npos;
    for (const std::string_view mark : {"Initializing Jailhouse hypervisor", "Page pool usage after late setup",
                                        "Activating hypervisor", "The Jailhouse is opening"}) {
        const std::size_t at = before_.rfind(mark);
        start = at == std::string_view::npos ? start : start == std::string_view::npos ? at : std::max(start, at);
    }
    return start != std::string_view::npos && before_.find("Created cell", start) == std::string_view::npos &&
           before_.find("Created Jailhouse cell", start) == std::string_view::npos;
}

bool TrapContext::may_be_root() const {
    return in_root() || (config_ == nullptr && (before_any_cell() || guest_of(event_) != TrapGuest::unknown));
}

bool TrapContext::runs_linux() const {
    return guest_of(event_) != TrapGuest::unknown || before_any_cell();
}

bool TrapContext::in_page_table() const {
    const auto abort = event_.syndrome ? decode_abort(*event_.syndrome) : std::nullopt;
    return abort && abort->walk;
}

bool TrapContext::fetched_by_x86() const {
    constexpr std::uint64_t page = 0xfff;
    const auto& messages = event_.messages;
    return event_.arch == TrapArch::x86 && event_.access != TrapAccess::write && event_.size == 0u && event_.pc &&
           (*event_.pc & ~page) == (*event_.address & ~page) &&
           std::any_of(messages.begin(), messages.end(), [](const std::string& message) {
               return message.find("unable to get MMIO instruction") != std::string::npos;
           });
}

bool TrapContext::walked_off_ecam() const {
    bool vendor = false;
    bool device = false;
    for (unsigned i = static_cast<unsigned>(R::x0); i <= static_cast<unsigned>(R::r14); ++i) {
        const auto value = event_.registers.get(static_cast<R>(i));
        vendor = vendor || value == 0x110a || value == 0x4106110a;
        device = device || value == 0x4106 || value == 0x4106110a;
    }
    return vendor && device && event_.kind == K::data && event_.access != TrapAccess::write;
}

std::string_view TrapContext::failed_load() const {
    const std::size_t started = before_.rfind("Started cell \"");
    if (started == std::string_view::npos || !event_.cell) {
        return {};
    }
    const std::size_t close = before_.find('"', started + 14);
    if (close == std::string_view::npos || before_.substr(started + 14, close - started - 14) != *event_.cell) {
        return {};
    }
    const std::size_t created = before_.substr(0, started).rfind("Created cell \"" + *event_.cell);
    const std::size_t failed = before_.substr(0, started).rfind("JAILHOUSE_CELL_LOAD: ");
    if (failed == std::string_view::npos || (created != std::string_view::npos && failed < created)) {
        return {};
    }
    return before_.substr(failed, std::min(before_.find_first_of("\r\n", failed), before_.size()) - failed);
}

} // namespace hil
