// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/cell_names.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "abi/cell_config.h"

namespace hil {
namespace {

constexpr std::array<CellWord, 14> memory_flags{{{"read", JH_MEM_READ},
                                                 {"write", JH_MEM_WRITE},
                                                 {"execute", JH_MEM_EXECUTE},
                                                 {"dma", JH_MEM_DMA},
                                                 {"io", JH_MEM_IO},
                                                 {"comm-region", JH_MEM_COMM_REGION},
                                                 {"loadable", JH_MEM_LOADABLE},
                                                 {"root-shared", JH_MEM_ROOTSHARED},
                                                 {"no-hugepages", JH_MEM_NO_HUGEPAGES},
                                                 {"io-unaligned", JH_MEM_IO_UNALIGNED},
                                                 {"io-8", JH_MEM_IO_8},
                                                 {"io-16", JH_MEM_IO_16},
                                                 {"io-32", JH_MEM_IO_32},
                                                 {"io-64", JH_MEM_IO_64}}};
constexpr std::array<CellWord, 5> cell_flags{{{"passive-comm-region", JH_CELL_PASSIVE_COMMREG},
                                              {"test-device", JH_CELL_TEST_DEVICE},
                                              {"aarch32", JH_CELL_AARCH32},
                                              {"virtual-console-permitted", JH_CELL_VIRTUAL_CONSOLE_PERMITTED},
                                              {"virtual-console-active", JH_CELL_VIRTUAL_CONSOLE_ACTIVE}}};
constexpr std::array<CellWord, 1> system_flags{{{"virtual-console", JH_SYS_VIRTUAL_CONSOLE}}};
constexpr std::array<CellWord, 3> console_flags{{{"mmio", JH_CONSOLE_MMIO},
                                                 {"register-distance-4", JH_CONSOLE_REGDIST_4},
                                                 {"inverted-gate", JH_CONSOLE_INVERTED_GATE}}};
constexpr std::array<CellWord, 11> console_types{{{"none", JH_CONSOLE_NONE},
                                                  {"efifb", JH_CONSOLE_EFIFB},
                                                  {"8250", JH_CONSOLE_8250},
                                                  {"pl011", JH_CONSOLE_PL011},
                                                  {"xuartps", JH_CONSOLE_XUARTPS},
                                                  {"mvebu", JH_CONSOLE_MVEBU},
                                                  {"hscif", JH_CONSOLE_HSCIF},
                                                  {"scifa", JH_CONSOLE_SCIFA},
                                                  {"imx", JH_CONSOLE_IMX},
                                                  {"imx-lpuart", JH_CONSOLE_IMX_LPUART},
                                                  {"scif", JH_CONSOLE_SCIF}}};
constexpr std::array<CellWord, 3> pci_types{
    {{"device", JH_PCI_DEVICE}, {"bridge", JH_PCI_BRIDGE}, {"ivshmem", JH_PCI_IVSHMEM}}};
constexpr std::array<CellWord, 2> msi_flags{{{"64-bit", 1}, {"maskable", 2}}};
constexpr std::array<CellWord, 1> capability_flags{{{"write", JH_PCI_CAP_WRITE}}};
constexpr std::array<CellWord, 5> shmem_protocols{{{"undefined", JH_SHMEM_PROTO_UNDEFINED},
                                                   {"ethernet", JH_SHMEM_PROTO_ETHERNET},
                                                   {"custom", JH_SHMEM_PROTO_CUSTOM},
                                                   {"virtio-front", JH_SHMEM_PROTO_VIRTIO_FRONT},
                                                   {"virtio-back", JH_SHMEM_PROTO_VIRTIO_BACK}}};
constexpr std::array<CellWord, 6> iommu_types{{{"none", JH_IOMMU_NONE},
                                               {"amd", JH_IOMMU_AMD},
                                               {"intel", JH_IOMMU_INTEL},
                                               {"smmuv3", JH_IOMMU_SMMUV3},
                                               {"pvu", JH_IOMMU_PVU},
                                               {"mmu500", JH_IOMMU_MMU500}}};
constexpr std::array<CellWord, 3> architectures{{{"x86", JH_ARCH_X86}, {"arm", JH_ARCH_ARM}, {"arm64", JH_ARCH_ARM64}}};

std::optional<uint64_t> value_of(std::string_view word, std::span<const CellWord> words) {
    for (const CellWord& entry : words) {
        if (entry.word == word) {
            return entry.value;
        }
    }
    return std::nullopt;
}

/// Letters to insert, to delete or to exchange on the way from one word to the other.
size_t distance(std::string_view from, std::string_view to) {
    std::vector<size_t> row(to.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < from.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < to.size(); ++j) {
            const size_t exchanged = diagonal + (from[i] == to[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j] + 1, diagonal + 1, exchanged});
        }
    }
    return row.back();
}

Error unknown_word(std::string_view word, std::span<const CellWord> words) {
    std::vector<std::string_view> known;
    for (const CellWord& entry : words) {
        known.push_back(entry.word);
    }
    return {"\"" + std::string(word) + "\" is neither a number nor a known word" + suggestion(word, known)};
}

/// 1024 to the n-th for K, M, G, T; nothing for an unknown suffix.
std::optional<unsigned> suffix_shift(std::string_view suffix) {
    if (suffix.empty()) {
        return 0;
    }
    const size_t unit = std::string_view("KMGT").find(suffix.front());
    const bool known = suffix.size() == 1 || suffix.substr(1) == "iB";
    if (unit == std::string_view::npos || !known) {
        return std::nullopt;
    }
    return static_cast<unsigned>(unit + 1) * 10;
}

int hex_digit(char character) {
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    return character >= 'A' && character <= 'F' ? character - 'A' + 10 : -1;
}

} // namespace

std::span<const CellWord> memory_flag_words() {
    return memory_flags;
}
std::span<const CellWord> cell_flag_words() {
    return cell_flags;
}
std::span<const CellWord> system_flag_words() {
    return system_flags;
}
std::span<const CellWord> console_flag_words() {
    return console_flags;
}
std::span<const CellWord> console_type_words() {
    return console_types;
}
std::span<const CellWord> pci_type_words() {
    return pci_types;
}
std::span<const CellWord> msi_flag_words() {
    return msi_flags;
}
std::span<const CellWord> capability_flag_words() {
    return capability_flags;
}
std::span<const CellWord> shmem_protocol_words() {
    return shmem_protocols;
}
std::span<const CellWord> iommu_type_words() {
    return iommu_types;
}
std::span<const CellWord> architecture_words() {
    return architectures;
}

std::string flags_to_text(uint64_t flags, std::span<const CellWord> words) {
    std::string text;
    const auto add = [&text](std::string_view word) { text += (text.empty() ? "" : " ") + std::string(word); };
    for (const CellWord& entry : words) {
        if ((flags & entry.value) == entry.value) {
            add(entry.word);
            flags &= ~entry.value;
        }
    }
    if (flags != 0) {
        add(hex_text(flags));
    }
    return text;
}

Result<uint64_t> flags_from_text(std::string_view text, std::span<const CellWord> words) {
    uint64_t flags = 0;
    constexpr std::string_view separators = " \t,";
    for (size_t start = text.find_first_not_of(separators); start != std::string_view::npos;) {
        const size_t end = std::min(text.find_first_of(separators, start), text.size());
        const std::string_view word = text.substr(start, end - start);
        if (const auto value = value_of(word, words)) {
            flags |= *value;
        } else if (const Result<uint64_t> number = number_from_text(word)) {
            flags |= *number;
        } else {
            return unknown_word(word, words);
        }
        start = text.find_first_not_of(separators, end);
    }
    return flags;
}

std::string word_or_number(uint64_t value, std::span<const CellWord> words) {
    for (const CellWord& entry : words) {
        if (entry.value == value) {
            return std::string(entry.word);
        }
    }
    return hex_text(value);
}

Result<uint64_t> word_or_number_from_text(std::string_view text, std::span<const CellWord> words) {
    // "8250" is a console's word before it is a number.
    if (const auto value = value_of(text, words)) {
        return *value;
    }
    Result<uint64_t> number = number_from_text(text);
    return number ? number : unknown_word(text, words);
}

Result<uint64_t> number_from_text(std::string_view text) {
    int base = 10;
    std::string_view digits = text;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        digits.remove_prefix(2);
    } else if (text.starts_with("0b")) {
        base = 2;
        digits.remove_prefix(2);
    }
    uint64_t value = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (code == std::errc::result_out_of_range) {
        return Error{"\"" + std::string(text) + "\" does not fit into 64 bits"};
    }
    const auto shift = suffix_shift({end, static_cast<size_t>(digits.data() + digits.size() - end)});
    if (code != std::errc{} || !shift) {
        return Error{"\"" + std::string(text) + "\" is not a number: write 42, 0x2a, or 16M, 4K, 1G for a size"};
    }
    if (value > std::numeric_limits<uint64_t>::max() >> *shift) {
        return Error{"\"" + std::string(text) + "\" does not fit into 64 bits"};
    }
    return value << *shift;
}

std::string hex_text(uint64_t value, unsigned digits) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "0x%0*llx", static_cast<int>(digits),
                  static_cast<unsigned long long>(value));
    return text.data();
}

std::string size_text(uint64_t size) {
    constexpr std::string_view units = "TGMK";
    unsigned shift = 40;
    for (const char unit : units) {
        if (size != 0 && (size & ((uint64_t{1} << shift) - 1)) == 0) {
            return std::to_string(size >> shift) + unit;
        }
        shift -= 10;
    }
    return hex_text(size);
}

std::string suggestion(std::string_view typed, std::span<const std::string_view> known) {
    const size_t far = std::max<size_t>(2, typed.size() / 3) + 1; // two letters of a short word
    std::string_view nearest;
    size_t least = far;
    std::string all;
    for (const std::string_view word : known) {
        all += (all.empty() ? "" : ", ") + std::string(word);
        if (const size_t steps = distance(typed, word); steps < least && steps < word.size()) {
            least = steps;
            nearest = word;
        }
    }
    return nearest.empty() ? "; known are " + all : "; did you mean \"" + std::string(nearest) + "\"?";
}

std::string bytes_to_hex(std::span<const uint8_t> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 0xf];
    }
    return text;
}

Status bytes_from_hex(std::string_view text, std::span<uint8_t> bytes) {
    if (text.size() != bytes.size() * 2) {
        return Error{"expected " + std::to_string(bytes.size() * 2) + " hexadecimal digits, found " +
                     std::to_string(text.size()) + " characters"};
    }
    for (size_t index = 0; index < bytes.size(); ++index) {
        const int high = hex_digit(text[2 * index]);
        const int low = hex_digit(text[2 * index + 1]);
        if (high < 0 || low < 0) {
            return Error{"\"" + std::string(text.substr(2 * index, 2)) + "\" is not a hexadecimal byte"};
        }
        bytes[index] = static_cast<uint8_t>(high << 4 | low);
    }
    return Nothing{};
}

std::string bdf_text(uint16_t bdf) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%02x:%02x.%x", bdf >> 8, bdf >> 3 & 0x1f, bdf & 7);
    return text.data();
}

Result<uint16_t> bdf_from_text(std::string_view text) {
    const auto digit = [&text](size_t index) { return static_cast<unsigned>(hex_digit(text[index])); };
    const bool shaped = text.size() == 7 && text[2] == ':' && text[5] == '.';
    if (!shaped || hex_digit(text[0]) < 0 || hex_digit(text[1]) < 0 || digit(3) > 1 || hex_digit(text[4]) < 0 ||
        digit(6) > 7) {
        return Error{"\"" + std::string(text) + "\" is not bus:device.function, such as 00:01.0 (hexadecimal)"};
    }
    return static_cast<uint16_t>((digit(0) << 4 | digit(1)) << 8 | (digit(3) << 4 | digit(4)) << 3 | digit(6));
}

} // namespace hil
