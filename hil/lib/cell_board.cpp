// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/cell_board.hpp"

#include <libfdt.h>

#include <string_view>

namespace hil {
namespace {

constexpr unsigned ppi_base = 16; ///< interrupt id of the first private peripheral interrupt
constexpr unsigned spi_base = 32;
constexpr uint32_t interrupt_is_ppi = 1; ///< first cell of a GIC interrupt specifier

using Cells = std::vector<uint32_t>;

/// A device tree blob with the few questions that are asked of it.
class Tree {
  public:
    explicit Tree(const void* blob) : blob_(blob) {}

    [[nodiscard]] Cells cells(int node, const char* property) const {
        int length = 0;
        const auto* data = static_cast<const uint8_t*>(fdt_getprop(blob_, node, property, &length));
        Cells values;
        for (int offset = 0; data != nullptr && offset + 4 <= length; offset += 4) {
            const uint8_t* at = data + offset;
            values.push_back(uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3]);
        }
        return values;
    }
    [[nodiscard]] bool has(int node, const char* property) const {
        return fdt_getprop(blob_, node, property, nullptr) != nullptr;
    }
    /// The first string of the property.
    [[nodiscard]] std::string text(int node, const char* property) const {
        int length = 0;
        const auto* data = static_cast<const char*>(fdt_getprop(blob_, node, property, &length));
        if (data == nullptr || length <= 0) {
            return "";
        }
        const std::string_view all(data, static_cast<size_t>(length));
        return std::string(all.substr(0, all.find('\0')));
    }
    [[nodiscard]] std::string name(int node) const {
        int length = 0;
        const char* data = fdt_get_name(blob_, node, &length);
        return data == nullptr ? "" : std::string(data, static_cast<size_t>(length));
    }
    [[nodiscard]] uint32_t cell_count(int node, const char* property, uint32_t otherwise) const {
        const Cells values = cells(node, property);
        return values.empty() || values[0] > 4 ? otherwise : values[0];
    }
    [[nodiscard]] const void* blob() const { return blob_; }

  private:
    const void* blob_;
};

uint64_t join(const Cells& cells, size_t index, uint32_t count) {
    uint64_t value = 0;
    for (uint32_t cell = 0; cell < count; ++cell) {
        value = value << 32 | cells[index + cell];
    }
    return value;
}

/// A node's parents, root first.
using Path = std::vector<int>;

/// Walks a child's address up to the root. Nothing where a bus gives no translation.
std::optional<uint64_t> translate(const Tree& tree, const Path& parents, uint64_t address) {
    for (size_t level = parents.size(); level-- > 1;) {
        const int bus = parents[level];
        if (!tree.has(bus, "ranges")) {
            return std::nullopt;
        }
        const Cells ranges = tree.cells(bus, "ranges");
        const uint32_t child = tree.cell_count(bus, "#address-cells", 2);
        const uint32_t size = tree.cell_count(bus, "#size-cells", 1);
        const uint32_t parent = tree.cell_count(parents[level - 1], "#address-cells", 2);
        const size_t entry = size_t{child} + parent + size;
        bool found = ranges.empty();
        for (size_t index = 0; !found && entry > 0 && index + entry <= ranges.size(); index += entry) {
            const uint64_t from = join(ranges, index, child);
            const uint64_t length = join(ranges, index + child + parent, size);
            if (address >= from && address - from < length) {
                address = address - from + join(ranges, index + child, parent);
                found = true;
            }
        }
        if (!found) {
            return std::nullopt;
        }
    }
    return address;
}

std::vector<AddressRange> registers(const Tree& tree, const Path& parents, int node) {
    std::vector<AddressRange> result;
    if (parents.empty()) {
        return result;
    }
    const uint32_t address_cells = tree.cell_count(parents.back(), "#address-cells", 2);
    const uint32_t size_cells = tree.cell_count(parents.back(), "#size-cells", 1);
    const Cells reg = tree.cells(node, "reg");
    const size_t entry = size_t{address_cells} + size_cells;
    for (size_t index = 0; size_cells > 0 && index + entry <= reg.size(); index += entry) {
        if (const auto address = translate(tree, parents, join(reg, index, address_cells))) {
            result.push_back(AddressRange::of(*address, join(reg, index + address_cells, size_cells)));
        }
    }
    return result;
}

bool is_gic(std::string_view compatible) {
    return compatible == "arm,gic-v3" || compatible == "arm,gic-400" || compatible == "arm,cortex-a15-gic" ||
           compatible == "arm,cortex-a7-gic" || compatible == "arm,cortex-a9-gic";
}

BoardGic read_gic(const Tree& tree, const Path& parents, int node) {
    BoardGic gic;
    gic.compatible = tree.text(node, "compatible");
    gic.version = gic.compatible == "arm,gic-v3" ? 3 : 2;
    gic.registers = registers(tree, parents, node);
    const Cells interrupt = tree.cells(node, "interrupts");
    if (interrupt.size() >= 2) {
        gic.maintenance_interrupt = interrupt[1] + (interrupt[0] == interrupt_is_ppi ? ppi_base : spi_base);
    }
    return gic;
}

bool enabled(const Tree& tree, int node) {
    const std::string status = tree.text(node, "status");
    return status.empty() || status == "okay" || status == "ok";
}

void read_node(const Tree& tree, const Path& parents, int node, Board& board) {
    const std::string name = tree.name(node);
    if (tree.text(node, "device_type") == "cpu") {
        board.cpus = board.cpus.value_or(0) + (enabled(tree, node) ? 1 : 0);
    } else if (tree.text(node, "device_type") == "memory") {
        for (const AddressRange& range : registers(tree, parents, node)) {
            board.ram.push_back(range);
        }
    } else if (is_gic(tree.text(node, "compatible"))) {
        board.gic = read_gic(tree, parents, node);
    } else if (tree.has(node, "compatible") && enabled(tree, node)) {
        for (const AddressRange& range : registers(tree, parents, node)) {
            CellDevice device;
            device.name = name;
            device.description = tree.text(node, "compatible");
            device.address = range.start;
            device.size = range.size();
            board.devices.push_back(device);
        }
    }
}

} // namespace

std::string Board::device_text(uint64_t address) const {
    if (const CellDevice* device = table.at(address)) {
        return device->name + (device->description.empty() ? "" : " (" + device->description + ")");
    }
    for (const CellDevice& device : devices) {
        if (AddressRange::of(device.address, device.size).contains(address)) {
            return device.name + " (" + device.description + ")";
        }
    }
    return "";
}

Result<Board> read_board(std::span<const uint8_t> device_tree) {
    const int bad = device_tree.size() < sizeof(fdt_header) ? -FDT_ERR_TRUNCATED
                                                            : fdt_check_full(device_tree.data(), device_tree.size());
    if (bad != 0) {
        return Error{std::string("not a flattened device tree: ") + fdt_strerror(bad)};
    }
    const Tree tree(device_tree.data());
    Board board;
    Path path;
    int depth = 0;
    for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(tree.blob(), node, &depth)) {
        path.resize(static_cast<size_t>(depth));
        read_node(tree, path, node, board);
        path.push_back(node);
    }
    return board;
}

} // namespace hil
