// SPDX-License-Identifier: Apache-2.0
// Cell configs for Python: compile, decompile, check. Errors become ValueError.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "hil/lib/cell_check.hpp"
#include "hil/lib/cell_file.hpp"
#include "hil/lib/cell_yaml.hpp"

namespace py = pybind11;

namespace {

template <typename T> T value_or_raise(hil::Result<T> result) {
    if (!result) {
        throw py::value_error(result.error().message);
    }
    return std::move(result).value();
}

hil::DeviceTable device_table(const std::string& yaml) {
    return yaml.empty() ? hil::DeviceTable{} : value_or_raise(hil::parse_device_table(yaml));
}

std::span<const uint8_t> span_of(std::string_view bytes) {
    return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

py::bytes compile(const std::string& yaml, const std::string& devices) {
    const auto named = value_or_raise(hil::cell_config_from_yaml(yaml, device_table(devices)));
    const auto bytes = hil::serialise_cell_config(named.config);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string decompile(const py::bytes& bytes, const std::string& devices) {
    const auto config = value_or_raise(hil::parse_cell_config(span_of(std::string_view(bytes))));
    return hil::cell_config_to_yaml(config, device_table(devices));
}

py::bytes file_bytes(const std::string& path) {
    const auto file = value_or_raise(hil::read_cell_file(path));
    const auto bytes = hil::serialise_cell_config(file.named.config);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view trap_kind(hil::PredictedTrap::Kind kind) {
    return kind == hil::PredictedTrap::Kind::instruction ? "instruction"
           : kind == hil::PredictedTrap::Kind::data_read ? "read"
                                                         : "write";
}

py::dict finding_dict(const hil::Finding& finding) {
    py::dict result;
    result["severity"] = std::string(hil::severity_name(finding.severity));
    result["rule"] = finding.rule;
    result["file"] = finding.file;
    result["region"] = finding.region;
    result["message"] = finding.message;
    result["console"] = finding.console;
    result["fix"] = finding.fix;
    result["text"] = hil::finding_text(finding);
    result["trap"] = py::none();
    if (finding.trap) {
        py::dict trap;
        trap["access"] = std::string(trap_kind(finding.trap->kind));
        trap["first"] = finding.trap->addresses.start;
        trap["last"] = finding.trap->addresses.end - 1;
        trap["likely"] = finding.trap->likely.value_or(finding.trap->addresses.start);
        trap["size"] = finding.trap->size;
        trap["cell"] = finding.trap->cell;
        trap["cpu"] = finding.trap->cpu;
        result["trap"] = trap;
    }
    return result;
}

py::list check(const std::string& system, const std::vector<std::string>& cells, const std::string& devices,
               const std::optional<py::bytes>& device_tree, std::optional<std::pair<uint64_t, uint64_t>> image) {
    hil::CheckInput input;
    if (device_tree) {
        input.board = value_or_raise(hil::read_board(span_of(std::string_view(*device_tree))));
    }
    input.system = value_or_raise(hil::read_cell_file(system));
    input.board.table = devices.empty() ? input.system.devices : value_or_raise(hil::read_device_table(devices));
    for (const std::string& cell : cells) {
        input.cells.push_back(value_or_raise(hil::read_cell_file(cell)));
    }
    if (image) {
        input.image = hil::CellImage{image->first, image->second};
    }
    py::list result;
    for (const hil::Finding& finding : hil::check_cells(input)) {
        result.append(finding_dict(finding));
    }
    return result;
}

} // namespace

void bind_cells(py::module_& module) {
    module.def("cell_compile", &compile, py::arg("yaml"), py::arg("devices") = "",
               "The bytes of a .cell file from its YAML. `devices` is the text of the devices.yaml that the YAML's key "
               "\"devices\" names. Raises ValueError that names line and key.");
    module.def("cell_decompile", &decompile, py::arg("data"), py::arg("devices") = "",
               "The YAML of a .cell file's bytes. Raises ValueError that names field and offset.");
    module.def("cell_devices_file", &hil::devices_file_of, py::arg("yaml"),
               "The value of the key \"devices\" in a cell's YAML, a path relative to that file; empty if absent.");
    module.def("cell_file_bytes", &file_bytes, py::arg("path"),
               "The .cell bytes of a config on disk, YAML or binary. Raises ValueError that begins with the path.");
    module.def(
        "cell_check", &check, py::arg("system"), py::arg("cells") = std::vector<std::string>{}, py::arg("devices") = "",
        py::arg("device_tree") = py::none(), py::arg("image") = py::none(),
        "Findings about a system config and cells that exist together, all by path (YAML or binary). `devices`: "
        "path of a devices.yaml, else the one the system's YAML names; `device_tree`: its bytes; `image`: size in "
        "bytes and load address. A list of dicts: severity, rule, file, region, message, console, fix, text, trap "
        "(None or access, first, last, likely, size, cell, cpu).");
}
