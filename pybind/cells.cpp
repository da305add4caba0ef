// SPDX-License-Identifier: Apache-2.0
// Cell configs for Python: cell_compile, cell_decompile. Errors become ValueError.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

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

} // namespace

void bind_cells(py::module_& module) {
    module.def("cell_compile", &compile, py::arg("yaml"), py::arg("devices") = "",
               "The bytes of a .cell file from its YAML. `devices` is the text of the devices.yaml that the YAML's key "
               "\"devices\" names. Raises ValueError that names line and key.");
    module.def("cell_decompile", &decompile, py::arg("data"), py::arg("devices") = "",
               "The YAML of a .cell file's bytes. Raises ValueError that names field and offset.");
    module.def("cell_devices_file", &hil::devices_file_of, py::arg("yaml"),
               "The value of the key \"devices\" in a cell's YAML, a path relative to that file; empty if absent.");
}
