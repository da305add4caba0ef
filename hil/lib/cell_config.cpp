// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/cell_config.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace hil {
namespace {

static_assert(std::endian::native == std::endian::little, "configuration files are little endian, as the host must be");

std::string hex(uint64_t value) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    do {
        text.insert(text.begin(), digits[value & 0xf]);
        value >>= 4;
    } while (value != 0);
    return "0x" + text;
}

std::string printable(std::span<const uint8_t> bytes) {
    std::string text;
    for (const uint8_t byte : bytes) {
        text += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
    }
    return text;
}

/// Walks over the bytes and remembers where it is.
class Reader {
  public:
    explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

    template <typename T> Status fixed(T& target, std::string_view field) {
        if (bytes_.size() - offset_ < sizeof(T)) {
            return too_short(field, sizeof(T));
        }
        std::memcpy(&target, bytes_.data() + offset_, sizeof(T));
        offset_ += sizeof(T);
        return Nothing{};
    }

    template <typename T> Status array(std::vector<T>& target, uint32_t count, std::string_view field) {
        const uint64_t size = uint64_t{count} * sizeof(T);
        if (bytes_.size() - offset_ < size) {
            return too_short(std::string(field) + " (" + std::to_string(count) + " entries of " +
                                 std::to_string(sizeof(T)) + " bytes)",
                             size);
        }
        target.resize(count);
        if (count != 0) {
            std::memcpy(target.data(), bytes_.data() + offset_, size);
        }
        offset_ += size;
        return Nothing{};
    }

    [[nodiscard]] size_t left() const { return bytes_.size() - offset_; }
    [[nodiscard]] size_t offset() const { return offset_; }

  private:
    [[nodiscard]] Error too_short(std::string_view field, uint64_t size) const {
        return {"truncated: " + std::string(field) + " at offset " + hex(offset_) + " needs " + std::to_string(size) +
                " bytes, the file has " + std::to_string(bytes_.size() - offset_) + " left"};
    }

    std::span<const uint8_t> bytes_;
    size_t offset_ = 0;
};

/// What both kinds of file begin with.
struct Start {
    char signature[JH_SIGNATURE_SIZE];
    uint8_t architecture;
    uint16_t revision;
} ABI_PACKED;

Result<bool> check_start(std::span<const uint8_t> bytes) {
    if (bytes.size() < sizeof(Start)) {
        return Error{"truncated: signature, architecture and revision at offset 0x0 need " +
                     std::to_string(sizeof(Start)) + " bytes, the file has " + std::to_string(bytes.size())};
    }
    Start start{};
    std::memcpy(&start, bytes.data(), sizeof(start));
    const std::string_view signature(start.signature, JH_SIGNATURE_SIZE);
    if (signature != JH_SYSTEM_SIGNATURE && signature != JH_CELL_SIGNATURE) {
        return Error{"signature at offset 0x0 is \"" + printable(bytes.first(JH_SIGNATURE_SIZE)) + "\", expected \"" +
                     JH_CELL_SIGNATURE + "\" (cell) or \"" + JH_SYSTEM_SIGNATURE +
                     "\" (system): this is not a configuration file, or it is older than revision 14"};
    }
    if (start.revision != JH_CONFIG_REVISION) {
        return Error{"revision at offset " + hex(offsetof(Start, revision)) + " is " + std::to_string(start.revision) +
                     ", only revision " + std::to_string(JH_CONFIG_REVISION) +
                     " is known: compile the config against the headers of a matching Jailhouse"};
    }
    if (architecture_name(start.architecture).empty()) {
        return Error{"architecture at offset " + hex(offsetof(Start, architecture)) + " is " +
                     std::to_string(start.architecture) + ", known are 0 (x86), 1 (arm) and 2 (arm64)"};
    }
    return signature == JH_SYSTEM_SIGNATURE;
}

template <typename T> void append(std::vector<uint8_t>& bytes, const T& value) {
    const size_t offset = bytes.size();
    bytes.resize(offset + sizeof(T));
    std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

template <typename T> void append_all(std::vector<uint8_t>& bytes, const std::vector<T>& values) {
    for (const T& value : values) {
        append(bytes, value);
    }
}

Status read_arrays(Reader& reader, CellConfig& config) {
    const jh_cell& cell = config.cell;
    const auto in_order = [&](Status status, auto next) { return status.ok() ? next() : status; };
    Status status = reader.array(config.cpu_set, cell.cpu_set_size, "cpu set");
    status = in_order(std::move(status),
                      [&] { return reader.array(config.memory, cell.num_memory_regions, "memory regions"); });
    status = in_order(std::move(status),
                      [&] { return reader.array(config.caches, cell.num_cache_regions, "cache regions"); });
    status = in_order(std::move(status), [&] { return reader.array(config.irqchips, cell.num_irqchips, "irqchips"); });
    status = in_order(std::move(status), [&] { return reader.array(config.pio, cell.num_pio_regions, "pio regions"); });
    status = in_order(std::move(status),
                      [&] { return reader.array(config.pci_devices, cell.num_pci_devices, "pci devices"); });
    status = in_order(std::move(status),
                      [&] { return reader.array(config.pci_capabilities, cell.num_pci_caps, "pci capabilities"); });
    return in_order(std::move(status),
                    [&] { return reader.array(config.stream_ids, cell.num_stream_ids, "stream ids"); });
}

} // namespace

std::string_view architecture_name(uint32_t architecture) {
    switch (architecture) {
    case JH_ARCH_X86:
        return "x86";
    case JH_ARCH_ARM:
        return "arm";
    case JH_ARCH_ARM64:
        return "arm64";
    default:
        return {};
    }
}

std::string CellConfig::name() const {
    const auto* const end = std::find(std::begin(cell.name), std::end(cell.name), '\0');
    return {std::begin(cell.name), end};
}

std::vector<uint32_t> CellConfig::cpus() const {
    std::vector<uint32_t> numbers;
    for (size_t byte = 0; byte < cpu_set.size(); ++byte) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            if ((cpu_set[byte] >> bit & 1) != 0) {
                numbers.push_back(static_cast<uint32_t>(byte * 8 + bit));
            }
        }
    }
    return numbers;
}

Result<CellConfig> parse_cell_config(std::span<const uint8_t> bytes) {
    const Result<bool> is_system = check_start(bytes);
    if (!is_system) {
        return is_system.error();
    }
    CellConfig config;
    Reader reader(bytes);
    if (*is_system) {
        config.system.emplace();
        if (Status status = reader.fixed(*config.system, "system header"); !status) {
            return status.error();
        }
        config.cell = config.system->root_cell;
        config.system->root_cell = {};
    } else if (Status status = reader.fixed(config.cell, "cell descriptor"); !status) {
        return status.error();
    }
    if (Status status = read_arrays(reader, config); !status) {
        return status.error();
    }
    if (reader.left() != 0) {
        return Error{"oversized: the last array ends at offset " + hex(reader.offset()) + ", " +
                     std::to_string(reader.left()) + " bytes follow: a count in the descriptor is too small"};
    }
    return config;
}

std::vector<uint8_t> serialise_cell_config(const CellConfig& config) {
    jh_cell cell = config.cell;
    cell.cpu_set_size = static_cast<uint32_t>(config.cpu_set.size());
    cell.num_memory_regions = static_cast<uint32_t>(config.memory.size());
    cell.num_cache_regions = static_cast<uint32_t>(config.caches.size());
    cell.num_irqchips = static_cast<uint32_t>(config.irqchips.size());
    cell.num_pio_regions = static_cast<uint32_t>(config.pio.size());
    cell.num_pci_devices = static_cast<uint32_t>(config.pci_devices.size());
    cell.num_pci_caps = static_cast<uint32_t>(config.pci_capabilities.size());
    cell.num_stream_ids = static_cast<uint32_t>(config.stream_ids.size());

    std::vector<uint8_t> bytes;
    if (config.system) {
        jh_system system = *config.system;
        system.root_cell = cell;
        append(bytes, system);
    } else {
        append(bytes, cell);
    }
    append_all(bytes, config.cpu_set);
    append_all(bytes, config.memory);
    append_all(bytes, config.caches);
    append_all(bytes, config.irqchips);
    append_all(bytes, config.pio);
    append_all(bytes, config.pci_devices);
    append_all(bytes, config.pci_capabilities);
    append_all(bytes, config.stream_ids);
    return bytes;
}

CellConfig empty_cell_config(bool is_system, jh_architecture architecture) {
    CellConfig config;
    if (is_system) {
        // The descriptor inside a system config carries no signature of its own.
        config.system.emplace();
        std::memcpy(config.system->signature, JH_SYSTEM_SIGNATURE, JH_SIGNATURE_SIZE);
        config.system->architecture = static_cast<uint8_t>(architecture);
        config.system->revision = JH_CONFIG_REVISION;
    } else {
        std::memcpy(config.cell.signature, JH_CELL_SIGNATURE, JH_SIGNATURE_SIZE);
        config.cell.architecture = static_cast<uint8_t>(architecture);
        config.cell.revision = JH_CONFIG_REVISION;
    }
    config.cpu_set.resize(8);
    return config;
}

} // namespace hil
