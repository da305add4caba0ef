// SPDX-License-Identifier: Apache-2.0
// Any bytes as a .cell file, as YAML, as a device table and as a device tree. What parses must survive every round
// trip.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "hil/lib/cell_check.hpp"

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void round_trip(const hil::CellConfig& config, const hil::DeviceTable& devices) {
    const auto bytes = hil::serialise_cell_config(config);
    const auto parsed = hil::parse_cell_config(bytes);
    require(parsed.ok() && hil::serialise_cell_config(*parsed) == bytes);
    const auto again = hil::cell_config_from_yaml(hil::cell_config_to_yaml(config, devices), devices);
    require(again.ok() && hil::serialise_cell_config(again->config) == bytes);
}

/// The config as the system's and as a cell's.
void check(const hil::CellConfig& config, const hil::Board& board) {
    hil::CheckInput input;
    input.board = board;
    input.image = hil::CellImage{4096, 0};
    input.system.named.config = config;
    if (!config.is_system()) {
        input.system.named.config.system.emplace();
    }
    input.cells.resize(2);
    input.cells[0].named.config = config;
    input.cells[1].named.config = config;
    input.cells[1].named.config.system.reset();
    (void)hil::check_cells(input);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    // The table that the seeds name.
    static const hil::DeviceTable devices = hil::read_device_table(HIL_SOURCE "/targets/qemu/devices.yaml").value();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto config = hil::parse_cell_config({data, size})) {
        require(hil::serialise_cell_config(*config) == std::vector<uint8_t>(data, data + size));
        round_trip(*config, devices);
        check(*config, {});
    }
    if (const auto named = hil::cell_config_from_yaml(text, devices)) {
        round_trip(named->config, devices);
        check(named->config, {});
    }
    (void)hil::parse_device_table(text);
    (void)hil::devices_file_of(text);
    (void)hil::read_board({data, size});
    return 0;
}
