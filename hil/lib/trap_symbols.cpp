// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_symbols.hpp"

#include "hil/lib/trap_text.hpp"

#include <elfutils/libdw.h>
#include <gelf.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>

#include <cxxabi.h>

namespace hil {
namespace {

/// As the source has it, without its parameters: "fault::read_from" of "_ZN5fault9read_fromEmm". C names stay.
std::string readable(const std::string& symbol) {
    constexpr std::string_view unnamed = "(anonymous namespace)::";
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
    if (text == nullptr) {
        return symbol;
    }
    std::string name = text.get();
    for (std::size_t at = name.find(unnamed); at != std::string::npos; at = name.find(unnamed)) {
        name.erase(at, unnamed.size());
    }
    return name.substr(0, name.find('('));
}

std::string with_offset(const std::string& symbol, std::uint64_t offset) {
    char text[24];
    std::snprintf(text, sizeof text, "+0x%llx", static_cast<unsigned long long>(offset));
    const std::string name = readable(symbol);
    return offset == 0 ? name : name + text;
}

} // namespace

struct TrapSymbols::Program {
    std::string name;
    int descriptor = -1;
    ::Elf* elf = nullptr;
    Dwarf* dwarf = nullptr;
    struct Function {
        std::uint64_t start;
        std::uint64_t end;
        std::string name;
    };
    std::vector<Function> functions;

    Program() = default;
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() {
        if (dwarf != nullptr) {
            dwarf_end(dwarf);
        }
        if (elf != nullptr) {
            elf_end(elf);
        }
        if (descriptor >= 0) {
            ::close(descriptor);
        }
    }

    void read_symbols() {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> sections;
        for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
            GElf_Shdr header;
            if (gelf_getshdr(section, &header) == nullptr || header.sh_entsize == 0 ||
                (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM)) {
                continue;
            }
            Elf_Data* data = elf_getdata(section, nullptr);
            const auto count = static_cast<int>(std::min<std::uint64_t>(header.sh_size / header.sh_entsize, 4'000'000));
            for (int i = 0; data != nullptr && i < count; ++i) {
                GElf_Sym symbol;
                if (gelf_getsym(data, i, &symbol) == nullptr || symbol.st_shndx == SHN_UNDEF) {
                    continue;
                }
                const int type = GELF_ST_TYPE(symbol.st_info);
                const char* text = elf_strptr(elf, header.sh_link, symbol.st_name);
                if ((type == STT_FUNC || (type == STT_NOTYPE && text != nullptr && text[0] != '$')) &&
                    text != nullptr && text[0] != '\0') {
                    functions.push_back({symbol.st_value, symbol.st_value + symbol.st_size, text});
                }
            }
        }
        std::sort(functions.begin(), functions.end(), [](const Function& a, const Function& b) {
            return a.start < b.start || (a.start == b.start && a.end > b.end);
        });
        // Assembly labels have no size: they reach to the next symbol of the same section, as far as is known.
        for (std::size_t i = 0; i < functions.size(); ++i) {
            if (functions[i].end == functions[i].start) {
                const auto next = std::find_if(functions.begin() + static_cast<std::ptrdiff_t>(i), functions.end(),
                                               [&](const Function& f) { return f.start > functions[i].start; });
                functions[i].end = next == functions.end() ? functions[i].start + 256 : next->start;
            }
        }
    }

    /// Is the address in a loaded, executable part of the file?
    [[nodiscard]] bool is_code(std::uint64_t pc) const {
        std::size_t count = 0;
        if (elf_getphdrnum(elf, &count) != 0) {
            return false;
        }
        for (std::size_t i = 0; i < count; ++i) {
            GElf_Phdr header;
            if (gelf_getphdr(elf, static_cast<int>(i), &header) != nullptr && header.p_type == PT_LOAD &&
                (header.p_flags & PF_X) != 0 && pc >= header.p_vaddr && pc - header.p_vaddr < header.p_memsz) {
                return true;
            }
        }
        return false;
    }

    [[nodiscard]] std::string line_of(std::uint64_t pc) const {
        if (dwarf == nullptr) {
            return "";
        }
        Dwarf_Die unit;
        if (dwarf_addrdie(dwarf, pc, &unit) == nullptr) {
            // No .debug_aranges: look through the units.
            Dwarf_Off offset = 0;
            Dwarf_Off next = 0;
            std::size_t header = 0;
            bool found = false;
            while (!found && dwarf_nextcu(dwarf, offset, &next, &header, nullptr, nullptr, nullptr) == 0) {
                found = dwarf_offdie(dwarf, offset + header, &unit) != nullptr && dwarf_haspc(&unit, pc) > 0;
                offset = next;
            }
            if (!found) {
                return "";
            }
        }
        Dwarf_Line* line = dwarf_getsrc_die(&unit, pc);
        int number = 0;
        const char* source = line == nullptr ? nullptr : dwarf_linesrc(line, nullptr, nullptr);
        if (source == nullptr || dwarf_lineno(line, &number) != 0 || number == 0) {
            return "";
        }
        return std::string(source) + ":" + std::to_string(number);
    }

    [[nodiscard]] std::optional<TrapPlace> find(std::uint64_t pc) const {
        if (!is_code(pc)) {
            return std::nullopt;
        }
        const auto after = std::upper_bound(functions.begin(), functions.end(), pc,
                                            [](std::uint64_t value, const Function& f) { return value < f.start; });
        TrapPlace place{name, "", line_of(pc)};
        for (auto it = after; it != functions.begin();) {
            --it;
            if (pc < it->end) {
                place.function = with_offset(it->name, pc - it->start);
                break;
            }
            if (after - it > 64) {
                break;
            }
        }
        if (place.function.empty() && place.line.empty()) {
            return std::nullopt;
        }
        return place;
    }
};

TrapSymbols::TrapSymbols() = default;
TrapSymbols::~TrapSymbols() = default;
TrapSymbols::TrapSymbols(TrapSymbols&&) noexcept = default;
TrapSymbols& TrapSymbols::operator=(TrapSymbols&&) noexcept = default;

bool TrapSymbols::empty() const {
    return elves_.empty() && maps_.empty();
}

Status TrapSymbols::add_elf(const std::string& path) {
    auto file = std::make_unique<Program>();
    file->name = std::filesystem::path(path).filename().string();
    file->descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file->descriptor < 0) {
        return Error{path + ": " + std::strerror(errno)};
    }
    elf_version(EV_CURRENT);
    file->elf = elf_begin(file->descriptor, ELF_C_READ_MMAP, nullptr);
    if (file->elf == nullptr || elf_kind(file->elf) != ELF_K_ELF) {
        return Error{path + ": is no ELF file; give the inmate's .elf (not its .bin), a vmlinux, or a System.map"};
    }
    file->read_symbols();
    file->dwarf = dwarf_begin_elf(file->elf, DWARF_C_READ, nullptr);
    elves_.push_back(std::move(file));
    return Nothing{};
}

Status TrapSymbols::add_system_map(std::string_view text, std::string name) {
    Map map{std::move(name), {}};
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t stop = std::min(text.find('\n', start), text.size());
        const std::string_view line = text.substr(start, stop - start);
        start = stop + 1;
        std::size_t digits = 0;
        std::uint64_t address = 0;
        while (digits < line.size() && digits < 17 && is_hex(line[digits])) {
            address = address << 4 | hex_digit(line[digits++]);
        }
        if (digits < 8 || digits > 16 || line.size() < digits + 4 || line[digits] != ' ' || line[digits + 2] != ' ') {
            continue;
        }
        const char type = line[digits + 1];
        if (type == 't' || type == 'T' || type == 'w' || type == 'W') {
            map.functions.emplace(address, std::string(line.substr(digits + 3)));
        }
    }
    if (map.functions.empty()) {
        return Error{map.name + ": no line of the form \"ffffffc010080000 T name\": is it a System.map?"};
    }
    maps_.push_back(std::move(map));
    return Nothing{};
}

std::optional<TrapPlace> TrapSymbols::find(std::uint64_t pc) const {
    for (const auto& elf : elves_) {
        if (auto place = elf->find(pc)) {
            return place;
        }
    }
    for (const Map& map : maps_) {
        auto after = map.functions.upper_bound(pc);
        // Beyond the last symbol nothing is known; a function of more than a mebibyte is none.
        if (after == map.functions.begin() || after == map.functions.end()) {
            continue;
        }
        --after;
        if (pc - after->first < 0x100000) {
            return TrapPlace{map.name, with_offset(after->second, pc - after->first), ""};
        }
    }
    return std::nullopt;
}

} // namespace hil
