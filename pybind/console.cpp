// SPDX-License-Identifier: Apache-2.0
// Console and agent for Python. Everything that waits lets other threads run and ends at Ctrl-C.
#include <pybind11/eval.h>
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <poll.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

#include "hil/lib/agent_client.hpp"
#include "hil/lib/console.hpp"
#include "hil/lib/trap_json.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

using Milliseconds = std::chrono::milliseconds;

struct ConsoleLost : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct AgentLost : std::runtime_error {
    using std::runtime_error::runtime_error;
};

Milliseconds milliseconds(double seconds) {
    if (!(seconds >= 0)) {
        throw py::value_error("a time of " + std::to_string(seconds) + " s");
    }
    return Milliseconds(static_cast<std::int64_t>(std::min(seconds, 1e9) * 1000));
}

// Signals reach Python's handlers only in the main thread; elsewhere this is cheap and does nothing.
bool interrupted() {
    const py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

// What a wait under Interrupted leaves when a signal handler raised.
void raise_pending() {
    if (PyErr_Occurred() != nullptr) {
        throw py::error_already_set();
    }
}

template <typename Error, typename T> T value_or_raise(hil::Result<T> result) {
    raise_pending();
    if (!result) {
        throw Error(result.error().message);
    }
    return std::move(result).value();
}

// What a message quotes may be the console's last bytes, which need not be UTF-8; pybind11's own registration makes an
// exception without a text of such a message.
template <typename Error> void register_error(py::module_& module, const char* name) {
    static const py::exception<Error> type(module, name, PyExc_RuntimeError); // one for each Error
    py::register_exception_translator([](std::exception_ptr thrown) {
        try {
            std::rethrow_exception(std::move(thrown));
        } catch (const Error& error) {
            const std::string_view what = error.what();
            const auto text = py::reinterpret_steal<py::object>(
                PyUnicode_DecodeUTF8(what.data(), static_cast<Py_ssize_t>(what.size()), "backslashreplace"));
            PyErr_SetObject(type.ptr(), text.ptr());
        }
    });
}

// --- Console ---------------------------------------------------------------------------------------------------------

py::object trap_dict(const hil::TrapEvent& trap) {
    return py::module_::import("json").attr("loads")(hil::trap_json(trap).dump());
}

py::str text_of(std::string_view bytes) {
    return py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

struct EventDict { // for std::visit
    py::dict& dict;
    void operator()(const hil::LineEvent& line) const {
        dict["event"] = "line";
        dict["text"] = text_of(line.text);
        dict["writer"] = hil::to_string(line.writer);
        dict["whole"] = line.whole;
    }
    void operator()(const hil::LifecycleEvent& fact) const {
        dict["event"] = "lifecycle";
        dict["kind"] = std::string(fact.kind);
        dict["writer"] = hil::to_string(fact.writer);
        dict["cell"] = text_of(fact.cell);
        dict["cpu"] = fact.cpu >= 0 ? py::object(py::int_(fact.cpu)) : py::object(py::none());
        dict["detail"] = text_of(fact.detail);
    }
    void operator()(const hil::TrapEvent& trap) const {
        dict["event"] = "trap";
        dict["trap"] = trap_dict(trap);
    }
    void operator()(const hil::LinkEvent& link) const {
        dict["event"] = "link";
        dict["link"] = hil::to_string(link.link);
        dict["detail"] = text_of(link.detail);
    }
    void operator()(const hil::NoteEvent& note) const {
        dict["event"] = "note";
        dict["text"] = text_of(note.text);
    }
};

py::dict event_dict(const hil::ConsoleEvent& event) {
    py::dict dict;
    dict["t"] = std::chrono::duration<double>(event.time).count();
    dict["offset"] = event.offset;
    std::visit(EventDict{dict}, event.what);
    return dict;
}

// The console with what Python asks for: text by read(), traps by take_traps(), all else by poll().
class PyConsole {
  public:
    PyConsole(const std::string& stream, const std::string& raw, const std::string& times, std::optional<double> start,
              double connect_limit, bool reconnect, bool lines, const std::string& chaos, std::size_t bytes_per_ms,
              std::size_t line_rate) {
        hil::ConsoleOptions options;
        options.stream = stream;
        options.raw_path = raw;
        options.times_path = times.empty() && !raw.empty() ? raw + ".times" : times;
        if (start) {
            options.start = hil::SteadyClock::time_point(
                std::chrono::duration_cast<hil::SteadyClock::duration>(std::chrono::duration<double>(*start)));
        }
        options.connect_limit = milliseconds(connect_limit);
        options.reconnect = reconnect;
        options.lines = lines;
        options.bytes_per_ms = bytes_per_ms;
        options.line_rate = line_rate;
        if (!chaos.empty()) {
            options.chaos = value_or_raise<py::value_error>(hil::parse_chaos(chaos));
        }
        console_ = value_or_raise<py::value_error>(hil::Console::create(std::move(options)));
    }

    hil::Console& console() { return *console_; }

    void wait_open(double limit) {
        auto result = [&] {
            const py::gil_scoped_release release;
            return console_->wait_open(milliseconds(limit), interrupted);
        }();
        value_or_raise<ConsoleLost>(std::move(result));
    }

    void write(const py::bytes& data, double limit) {
        const std::string_view bytes(data);
        auto result = [&] {
            const py::gil_scoped_release release;
            return console_->write(bytes, milliseconds(limit), interrupted);
        }();
        value_or_raise<ConsoleLost>(std::move(result));
    }

    py::bytes read(double seconds) {
        std::array<char, 65536> buffer;
        const auto deadline = hil::SteadyClock::now() + milliseconds(seconds);
        for (;;) {
            ssize_t count = 0;
            {
                const py::gil_scoped_release release;
                const auto left = std::chrono::ceil<Milliseconds>(deadline - hil::SteadyClock::now()).count();
                pollfd polled{console_->tee(), POLLIN, 0};
                (void)poll(&polled, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 100)));
                count = ::read(console_->tee(), buffer.data(), buffer.size());
            }
            if (count > 0) {
                return {buffer.data(), static_cast<std::size_t>(count)};
            }
            if (count == 0) {
                const auto link = console_->link();
                throw ConsoleLost(std::string("the console is ") + hil::to_string(link.link) + ": " + link.detail);
            }
            if (PyErr_CheckSignals() != 0) {
                throw py::error_already_set();
            }
            if (hil::SteadyClock::now() >= deadline) {
                return {};
            }
        }
    }

    py::list poll_events(double limit) {
        sort(milliseconds(limit), false);
        raise_pending();
        py::list dicts;
        for (const auto& event : others_) {
            dicts.append(event_dict(event));
        }
        others_.clear();
        return dicts;
    }

    py::list take_traps(bool final) {
        if (final) {
            const py::gil_scoped_release release;
            console_->flush_traps(Milliseconds(2000));
        }
        sort(Milliseconds(0), true);
        raise_pending();
        py::list dicts;
        for (const auto& event : traps_) {
            dicts.append(trap_dict(std::get<hil::TrapEvent>(event.what)));
        }
        traps_.clear();
        return dicts;
    }

    bool wait_quiet(double quiet, double limit) {
        const bool calm = [&] {
            const py::gil_scoped_release release;
            return console_->wait_quiet(milliseconds(quiet), milliseconds(limit), interrupted);
        }();
        raise_pending();
        return calm;
    }

    bool report_pending() { return console_->report_pending(); }

    double silent_for() {
        return std::chrono::duration<double>(hil::SteadyClock::now() - console_->last_byte()).count();
    }

    py::dict counts() {
        const auto counts = console_->counts();
        return py::dict("bytes"_a = counts.bytes, "written"_a = counts.written, "frames"_a = counts.frames,
                        "damaged"_a = counts.damaged, "tee_dropped"_a = counts.tee_dropped,
                        "events_dropped"_a = counts.events_dropped, "losses"_a = counts.losses,
                        "text_unattributed"_a = counts.text[static_cast<std::size_t>(hil::Writer::unattributed)],
                        "text_kernel"_a = counts.text[static_cast<std::size_t>(hil::Writer::kernel)],
                        "text_hypervisor"_a = counts.text[static_cast<std::size_t>(hil::Writer::hypervisor)],
                        "text_agent"_a = counts.text[static_cast<std::size_t>(hil::Writer::agent)]);
    }

    py::tuple link() {
        const auto link = console_->link();
        return py::make_tuple(hil::to_string(link.link), text_of(link.detail));
    }

    bool may_return() { return console_->link().link == hil::Link::lost && console_->may_return(); }

    py::str tail() { return text_of(console_->tail()); }

    void close() {
        const py::gil_scoped_release release;
        console_->close();
    }

  private:
    // Traps are in both views: take_traps() and poll() each see every trap once.
    void sort(Milliseconds limit, bool traps_wanted) {
        if (!traps_wanted && !others_.empty()) {
            limit = Milliseconds(0);
        }
        std::vector<hil::ConsoleEvent> events;
        {
            const py::gil_scoped_release release;
            events = console_->poll(limit, interrupted);
        }
        for (auto& event : events) {
            if (std::holds_alternative<hil::TrapEvent>(event.what)) {
                traps_.push_back(event);
            }
            if (others_.size() < kMaxOthers) {
                others_.push_back(std::move(event));
            }
        }
    }

    static constexpr std::size_t kMaxOthers = 200'000;
    std::unique_ptr<hil::Console> console_;
    std::vector<hil::ConsoleEvent> traps_;
    std::vector<hil::ConsoleEvent> others_;
};

// --- Agent -----------------------------------------------------------------------------------------------------------

class PyAgent {
  public:
    PyAgent(PyConsole& console, double silence, double heartbeat, double write_limit, double kill_limit,
            std::size_t longest_line)
        : client_(console.console(), {milliseconds(silence), milliseconds(write_limit), milliseconds(heartbeat),
                                      milliseconds(kill_limit), longest_line}) {}

    py::dict hello(double limit) {
        const auto info = wait<hil::AgentInfo>([&] { return client_.hello(milliseconds(limit), ended()); });
        return py::dict("version"_a = info.version, "nonce"_a = info.nonce, "system"_a = text_of(info.system),
                        "lane"_a = info.lane == hil::frame::Lane::high ? "high" : "plain");
    }

    py::object run(const std::variant<std::string, std::vector<std::string>>& command, double limit,
                   const std::function<void(int, py::bytes)>& on_output) {
        hil::AgentCommand what;
        what.shell = std::holds_alternative<std::string>(command);
        what.words =
            what.shell ? std::vector{std::get<std::string>(command)} : std::get<std::vector<std::string>>(command);
        if (what.words.empty()) {
            throw py::value_error("an empty command");
        }
        what.limit = milliseconds(limit);
        if (what.limit.count() >= std::int64_t{1} << 32) {
            throw py::value_error("a command's limit is at most 49 days; 0 means none");
        }
        bool raised = false;
        if (on_output) {
            what.on_output = [&](int stream, std::string_view bytes) {
                const py::gil_scoped_acquire gil;
                try {
                    on_output(stream, py::bytes(bytes.data(), bytes.size()));
                } catch (py::error_already_set& error) {
                    error.restore();
                    raised = true;
                }
            };
        }
        const auto answer =
            wait<hil::AgentAnswer>([&] { return client_.run(what, [&] { return raised || ended()(); }); });
        return answer_tuple(answer);
    }

    py::bytes read_file(const std::string& path) {
        return py::bytes(wait<std::string>([&] { return client_.read_file(path, ended()); }));
    }

    void write_file(const std::string& path, const py::bytes& content, std::uint32_t mode) {
        const std::string_view bytes(content);
        (void)wait<hil::Nothing>([&] { return client_.write_file(path, bytes, mode, ended()); });
    }

    void bye(double limit) {
        (void)wait<hil::Nothing>([&] { return client_.bye(milliseconds(limit), ended()); });
    }

    void interrupt() { broken_off_ = true; }

    py::dict counts() {
        const auto& counts = client_.counts();
        return py::dict("calls"_a = counts.calls, "sent"_a = counts.sent, "resent"_a = counts.resent,
                        "damaged"_a = counts.damaged, "piece"_a = client_.piece());
    }

  private:
    // What ends a call early: a signal, or interrupt() from another thread.
    hil::Interrupted ended() {
        return [this] { return broken_off_.load() || interrupted(); };
    }

    template <typename T, typename Work> T wait(Work work) {
        broken_off_ = false;
        auto result = [&] {
            const py::gil_scoped_release release;
            return work();
        }();
        return value_or_raise<AgentLost>(std::move(result));
    }

    static py::object answer_tuple(const hil::AgentAnswer& answer) {
        using hil::agent::Ending;
        static constexpr std::array kNames = {"exited", "signalled", "timed-out", "killed", "refused"};
        const int code = answer.ending == Ending::exited    ? answer.code
                         : answer.ending == Ending::refused ? 127
                                                            : -answer.code;
        const auto index = static_cast<std::size_t>(answer.ending);
        py::object result =
            py::module_::import("_hil").attr("RunResult")(code, py::bytes(answer.out), py::bytes(answer.err));
        result.attr("ending") = index < kNames.size() ? kNames[index] : "unknown";
        result.attr("truncated") = answer.truncated;
        return result;
    }

    hil::AgentClient client_;
    std::atomic<bool> broken_off_ = false;
};

void bind_console_class(py::module_& module) {
    py::class_<PyConsole>(
        module, "Console",
        "The one owner of a machine's console line: a thread of its own logs every byte with its time, takes "
        "agent frames out, and looks for traps and lifecycle lines.")
        .def(py::init<const std::string&, const std::string&, const std::string&, std::optional<double>, double, bool,
                      bool, const std::string&, std::size_t, std::size_t>(),
             "stream"_a, "raw"_a = "", "times"_a = "", "start"_a = py::none(), "connect_limit"_a = 10.0,
             "reconnect"_a = false, "lines"_a = false, "chaos"_a = "", "bytes_per_ms"_a = 0, "line_rate"_a = 0,
             "`stream`: unix:PATH, unix-listen:PATH, tcp:HOST:PORT, rfc2217:HOST:PORT[@BAUD], pty:PATH, "
             "serial:PATH[@BAUD], "
             "usb-serial:NUMBER[@BAUD], fd:NUMBER. `raw`, `times`: files of the log, appended to. `start`: "
             "time.monotonic() that is zero of all times. `lines`: make an event of every line. `chaos`: faults, as "
             "\"seed=7,corrupt=0.01,splice=0.001\". `line_rate`: bytes a second that the line carries each way, where "
             "neither stream nor chaos say it. Connects in the background: see wait_open(). ValueError for a bad "
             "stream, chaos or log file.")
        .def("wait_open", &PyConsole::wait_open, "limit"_a = 10.0, "Waits until the line is open. Raises ConsoleLost.")
        .def("write", &PyConsole::write, "data"_a, "limit"_a = 10.0,
             "Sends bytes; returns when the line has taken them all. Raises ConsoleLost.")
        .def("read", &PyConsole::read, "seconds"_a,
             "The next text (frames taken out), up to 64 KiB; empty when none came in time. Raises ConsoleLost at the "
             "end. The "
             "same bytes that `tee` gives: use one of the two.")
        .def("poll", &PyConsole::poll_events, "limit"_a = 0.0,
             "The events so far, as dicts; waits up to `limit` seconds for the first. Keys: t (seconds since start), "
             "offset (in "
             "the raw log), event: line (text, writer, whole) | lifecycle (kind, writer, cell, cpu, detail) | trap "
             "(trap) | link "
             "(link, detail) | note (text).")
        .def("take_traps", &PyConsole::take_traps, "final"_a = false,
             "Traps decoded since the last call, as `hil explain --json` prints events. `final`: incomplete ones too.")
        .def("wait_quiet", &PyConsole::wait_quiet, "quiet"_a, "limit"_a,
             "Waits until no text has come for `quiet` seconds; False when `limit` seconds pass before.")
        .def("report_pending", &PyConsole::report_pending,
             "Whether something that looks like a trap report is on the line and not yet whole.")
        .def("silent_for", &PyConsole::silent_for, "Seconds since the last byte of any kind.")
        .def_property_readonly(
            "tee", [](PyConsole& self) { return self.console().tee(); },
            "Read end of a pipe with all text, for pexpect.fdpexpect. Belongs to the console.")
        .def("tail", &PyConsole::tail, "The last 2 KiB of text.")
        .def_property_readonly(
            "line_rate", [](PyConsole& self) { return self.console().line_rate(); },
            "Bytes a second that the line carries each way; 0: so many that it does not matter.")
        .def("may_return", &PyConsole::may_return, "Whether the line is lost now and may be open again later.")
        .def("link", &PyConsole::link, "(connecting | open | lost | closed, why)")
        .def_property_readonly("counts", &PyConsole::counts, "Bytes, frames, damage, losses since the start.")
        .def("close", &PyConsole::close, "Ends the thread, closes line and log. Events stay readable.");
}

void bind_agent_class(py::module_& module) {
    py::class_<PyAgent>(module, "Agent",
                        "The controller's side of hil-agent. One call at a time. AgentLost: no answer, and "
                        "whether the request was carried out is unknown.")
        .def(py::init<PyConsole&, double, double, double, double, std::size_t>(), "console"_a, "silence"_a = 15.0,
             "heartbeat"_a = 1.0, "write_limit"_a = 5.0, "kill_limit"_a = 0.5, "longest_line"_a = 0,
             py::keep_alive<1, 2>(),
             "`silence`: seconds without a good frame after which the agent is lost. `write_limit`: seconds for which "
             "the line may take nothing. `kill_limit`: seconds of telling the agent to end a command that was "
             "interrupted. "
             "`longest_line`: characters that the console takes without a line end; 0: any. "
             "What the line itself needs at its rate comes on top.")
        .def("hello", &PyAgent::hello, "limit"_a = 10.0,
             "Finds the agent that was started on the console and begins a session. Returns version, nonce, system, "
             "lane.")
        .def("run", &PyAgent::run, "command"_a, "limit"_a = 60.0, "on_output"_a = nullptr,
             "Runs a shell command (str) or a program (list of words), once. Returns RunResult(rc, out, err, ending, "
             "truncated): "
             "rc is the exit code, or -signal, or 127 when it could not be started; ending is exited, signalled, "
             "timed-out, "
             "killed or refused. The agent ends it after `limit` seconds (0: never). on_output(stream, data) gets "
             "output "
             "as it arrives.")
        .def("read_file", &PyAgent::read_file, "path"_a, "A file's bytes, sysfs included.")
        .def("write_file", &PyAgent::write_file, "path"_a, "content"_a, "mode"_a = 0644,
             "Writes a file: a regular one is replaced in one step, sysfs and devices get one write.")
        .def("interrupt", &PyAgent::interrupt,
             "From another thread: ends the call under way with AgentLost; its command is killed.")
        .def("bye", &PyAgent::bye, "limit"_a = 5.0, "Makes the agent leave; the shell has the console again.")
        .def_property_readonly("counts", &PyAgent::counts,
                               "Calls, frames sent, frames sent again, damage, bytes a piece.");
}

} // namespace

void bind_console(py::module_& module) {
    register_error<ConsoleLost>(module, "ConsoleLost");
    register_error<AgentLost>(module, "AgentLost");
    py::exec(R"(
from collections import namedtuple
class RunResult(namedtuple("RunResult", "rc out err")):
    """What a command left. rc: exit code, or -signal, or 127. ending and truncated are attributes beside."""
    ending = "exited"
    truncated = False
RunResult.__module__ = "_hil"
del namedtuple
)",
             module.attr("__dict__"));
    bind_console_class(module);
    bind_agent_class(module);
    module.attr("AGENT_PROTOCOL") = hil::agent::kProtocolVersion;
}
