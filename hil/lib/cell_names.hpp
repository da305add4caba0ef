// SPDX-License-Identifier: Apache-2.0
// The words that stand for the numbers of a configuration file, and how numbers are written and read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hil/lib/result.hpp"

namespace hil {

/// A word and the value (or the bits) it stands for.
struct CellWord {
    std::string_view word;
    uint64_t value;
};

std::span<const CellWord> memory_flag_words();     ///< jh_memory.flags
std::span<const CellWord> cell_flag_words();       ///< jh_cell.flags
std::span<const CellWord> system_flag_words();     ///< jh_system.flags
std::span<const CellWord> console_flag_words();    ///< jh_console.flags
std::span<const CellWord> console_type_words();    ///< jh_console.type
std::span<const CellWord> pci_type_words();        ///< jh_pci_device.type
std::span<const CellWord> msi_flag_words();        ///< jh_pci_device.msi_flags
std::span<const CellWord> capability_flag_words(); ///< jh_pci_capability.flags
std::span<const CellWord> shmem_protocol_words();  ///< jh_pci_device.shmem_protocol
std::span<const CellWord> iommu_type_words();      ///< jh_iommu.type
std::span<const CellWord> architecture_words();

/// Bits as words with a space between; bits without a word as one hexadecimal number at the end.
std::string flags_to_text(uint64_t flags, std::span<const CellWord> words);
/// The reverse; commas count as spaces.
Result<uint64_t> flags_from_text(std::string_view text, std::span<const CellWord> words);

/// A word, or the number where there is none.
std::string word_or_number(uint64_t value, std::span<const CellWord> words);
Result<uint64_t> word_or_number_from_text(std::string_view text, std::span<const CellWord> words);

/// Decimal, 0x…, 0b…; with K, M, G or T behind it (also KiB, MiB, …) in units of 1024.
Result<uint64_t> number_from_text(std::string_view text);
std::string hex_text(uint64_t value, unsigned digits = 1); ///< "0x09000000" with digits = 8
std::string size_text(uint64_t size);                      ///< "16M", "4K", else hexadecimal

/// What a person may have meant: "; did you mean \"virtual\"?", or "; known are a, b, c" when none is near.
std::string suggestion(std::string_view typed, std::span<const std::string_view> known);

std::string bytes_to_hex(std::span<const uint8_t> bytes);
/// Fills `bytes`; the text must have exactly two digits for each.
Status bytes_from_hex(std::string_view text, std::span<uint8_t> bytes);

std::string bdf_text(uint16_t bdf); ///< "01:02.3": bus, device, function
Result<uint16_t> bdf_from_text(std::string_view text);

} // namespace hil
