// SPDX-License-Identifier: Apache-2.0
// The Python module _hil: what the runner needs of the controller's C++ library, an area a file.
#include <pybind11/pybind11.h>

// void bind_<area>(pybind11::module_& module);
void bind_console(pybind11::module_& module);
void bind_chaos(pybind11::module_& module);
void bind_cells(pybind11::module_& module);
void bind_traps(pybind11::module_& module);

PYBIND11_MODULE(_hil, module) {
    module.doc() = "hil's controller: console, parser, traps, cell configs";
    // bind_<area>(module);
    bind_console(module);
    bind_chaos(module);
    bind_cells(module);
    bind_traps(module);
}
