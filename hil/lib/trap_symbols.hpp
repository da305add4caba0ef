// SPDX-License-Identifier: Apache-2.0
// pc -> function and source line, from ELF files with symbols (libdw) and from a kernel's System.map.
#pragma once

#include "hil/lib/result.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hil {

/// Where a pc is.
struct TrapPlace {
    std::string file;     // the ELF or map that names it
    std::string function; // "uart_write+0x14"
    std::string line;     // "inmates/lib/arm64/uart.hpp:31"; empty when the file has no line information
};

class TrapSymbols {
  public:
    TrapSymbols();
    ~TrapSymbols();
    TrapSymbols(TrapSymbols&&) noexcept;
    TrapSymbols& operator=(TrapSymbols&&) noexcept;

    /// An inmate's ELF, a vmlinux, a hypervisor's ELF. Positions are those of the link: inmates run where they are
    /// linked.
    Status add_elf(const std::string& path);
    /// The text of a System.map ("ffffffc010080000 T _text").
    Status add_system_map(std::string_view text, std::string name);
    /// The first file that has code at pc.
    [[nodiscard]] std::optional<TrapPlace> find(std::uint64_t pc) const;
    [[nodiscard]] bool empty() const;

  private:
    struct Program;
    struct Map {
        std::string name;
        std::map<std::uint64_t, std::string> functions;
    };
    std::vector<std::unique_ptr<Program>> elves_;
    std::vector<Map> maps_;
};

} // namespace hil
