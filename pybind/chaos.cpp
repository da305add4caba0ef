// SPDX-License-Identifier: Apache-2.0
// Chaos for Python: the check of a specification, and the proxy.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <chrono>

#include "hil/lib/chaos_proxy.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

hil::ChaosOptions options_of(const std::string& chaos) {
    auto options = hil::parse_chaos(chaos);
    if (!options) {
        throw py::value_error(options.error().message);
    }
    return *options;
}

class PyChaosProxy {
  public:
    PyChaosProxy(const std::string& stream, const std::string& offer, const std::string& chaos, double connect_limit) {
        const std::chrono::milliseconds limit(static_cast<std::int64_t>(std::clamp(connect_limit, 0.0, 1e6) * 1000));
        auto proxy = hil::ChaosProxy::create(stream, offer, options_of(chaos), limit);
        if (!proxy) {
            throw py::value_error(proxy.error().message);
        }
        proxy_ = std::move(proxy).value();
    }

    const std::string& where() const { return proxy_->where(); }

    void serve() {
        const auto status = [&] {
            const py::gil_scoped_release release;
            return proxy_->serve([] {
                const py::gil_scoped_acquire gil;
                return PyErr_Occurred() != nullptr || PyErr_CheckSignals() != 0; // asked again after a yes
            });
        }();
        if (PyErr_Occurred() != nullptr) {
            throw py::error_already_set();
        }
        if (!status) {
            throw std::runtime_error(status.error().message);
        }
    }

    py::dict counts() const {
        const hil::ChaosCounts counts = proxy_->counts();
        return py::dict("bytes"_a = counts.bytes, "dropped"_a = counts.dropped, "doubled"_a = counts.doubled,
                        "corrupted"_a = counts.corrupted, "splices"_a = counts.splices, "delays"_a = counts.delays,
                        "floods"_a = counts.floods, "disconnects"_a = counts.disconnects, "overrun"_a = counts.overrun);
    }

  private:
    std::unique_ptr<hil::ChaosProxy> proxy_;
};

} // namespace

void bind_chaos(py::module_& module) {
    module.def(
        "chaos_check", [](const std::string& chaos) { (void)options_of(chaos); }, "chaos"_a,
        "ValueError that says what is wrong, when `chaos` is no specification of faults.");
    py::class_<PyChaosProxy>(module, "ChaosProxy",
                             "Opens a stream and offers it again, with faults, to one user at a time.")
        .def(py::init<const std::string&, const std::string&, const std::string&, double>(), "stream"_a, "offer"_a,
             "chaos"_a, "connect_limit"_a = 10.0,
             "`stream`: as Console takes it. `offer`: \"pty\" or \"unix:PATH\". `connect_limit`: seconds for each "
             "opening of the stream. ValueError for what cannot be.")
        .def_property_readonly("where", &PyChaosProxy::where, "The stream that the user opens.")
        .def("serve", &PyChaosProxy::serve,
             "Carries bytes until a signal handler raises. RuntimeError when the machine's stream cannot be opened.")
        .def_property_readonly("counts", &PyChaosProxy::counts, "Bytes and faults of all connections that ended.");
}
