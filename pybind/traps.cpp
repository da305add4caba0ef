// SPDX-License-Identifier: Apache-2.0
// The trap decoder for Python. Events cross as JSON text: hil/traps.py turns it into dictionaries.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "hil/lib/trap_decoder.hpp"
#include "hil/lib/trap_explain.hpp"
#include "hil/lib/trap_json.hpp"
#include "hil/lib/trap_reader.hpp"

namespace py = pybind11;

namespace {

void raise_unless(const hil::Status& status) {
    if (!status) {
        throw py::value_error(status.error().message);
    }
}

template <typename T> T value_or_raise(hil::Result<T> result) {
    if (!result) {
        throw py::value_error(result.error().message);
    }
    return std::move(result).value();
}

std::string events_json(const std::vector<hil::TrapEvent>& events) {
    auto out = nlohmann::ordered_json::array();
    for (const hil::TrapEvent& event : events) {
        out.push_back(hil::trap_json(event));
    }
    return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace

void bind_traps(py::module_& module) {
    py::class_<hil::TrapDecoder>(module, "TrapDecoder",
                                 "Finds panic reports in a byte stream; see hil/lib/trap_decoder.hpp.")
        .def(py::init<>())
        .def("feed", [](hil::TrapDecoder& self, const py::bytes& data) { self.feed(std::string_view(data)); })
        .def("flush", &hil::TrapDecoder::flush, "The console went quiet: decode what was collected.")
        .def("finish", &hil::TrapDecoder::finish, "End of input.")
        .def("pending", &hil::TrapDecoder::pending)
        .def(
            "take_json", [](hil::TrapDecoder& self) { return events_json(self.take()); },
            "A JSON list of the new events.");

    py::class_<hil::TrapExplainer>(module, "TrapExplainer", "Explains traps with device trees, configs and symbols.")
        .def(py::init<>())
        .def("add_dtb",
             [](hil::TrapExplainer& self, const std::string& path) {
                 const auto bytes = value_or_raise(hil::read_file_bytes(path));
                 raise_unless(self.add_device_tree(bytes, path));
             })
        .def("add_devices",
             [](hil::TrapExplainer& self, const std::string& path) {
                 self.add_devices(value_or_raise(hil::read_device_table(path)));
             })
        .def(
            "add_config",
            [](hil::TrapExplainer& self, const std::string& path) {
                auto file = value_or_raise(hil::read_cell_file(path));
                const bool system = file.named.config.is_system();
                self.add_config(std::move(file));
                return system;
            },
            "Reads a .cell or .yaml file; returns whether it is a system config.")
        .def("add_elf",
             [](hil::TrapExplainer& self, const std::string& path) { raise_unless(self.symbols().add_elf(path)); })
        .def("add_system_map",
             [](hil::TrapExplainer& self, const std::string& path) {
                 const auto bytes = value_or_raise(hil::read_file_bytes(path));
                 raise_unless(
                     self.symbols().add_system_map({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path));
             })
        .def(
            "explain_json",
            [](const hil::TrapExplainer& self, const py::bytes& text) {
                return hil::explain_text(self, std::string_view(text))
                    .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
            },
            "{\"events\": […], \"missing\": […]} of a whole text, as JSON.");

    py::class_<hil::TrapReader>(module, "TrapReader", "A text of any length in pieces; see hil/lib/trap_reader.hpp.")
        .def(py::init<const hil::TrapExplainer&>(), py::keep_alive<1, 2>())
        .def("feed", [](hil::TrapReader& self, const py::bytes& data) { self.feed(std::string_view(data)); })
        .def(
            "finish_json",
            [](hil::TrapReader& self) {
                return self.finish().dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
            },
            "End of the text: {\"events\": […], \"missing\": […]}, as JSON.");
}
