// SPDX-License-Identifier: Apache-2.0
// hil-agent: carries out the controller's requests in the root cell, over the console it was started on.
//
// Usage: hil-agent [--help | --version]. Started from the console's shell, it takes the terminal (raw mode) and gives
// it back at its end: the controller's bye, SIGTERM, SIGHUP, or Ctrl-C three times. Protocol:
// driver/agent/protocol.hpp.
#include <sys/signalfd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "driver/agent/server.hpp"

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "--version") == 0) { // says that it runs here at all
        std::printf("hil-agent %u\n", static_cast<unsigned>(hil::agent::kProtocolVersion));
        return 0;
    }
    if (argc > 1) {
        std::fputs("hil-agent: speaks frames with hil's controller on its terminal. --version: the protocol's. Ctrl-C "
                   "three times ends it.\n",
                   stdout);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    sigset_t handled;
    sigemptyset(&handled);
    for (const int number : {SIGCHLD, SIGTERM, SIGHUP}) {
        sigaddset(&handled, number);
    }
    sigprocmask(SIG_BLOCK, &handled, nullptr);
    const hil::agent::Descriptor signals(signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC));
    hil::agent::Terminal terminal(STDIN_FILENO, STDOUT_FILENO);
    hil::agent::Server server(terminal, signals.get());
    return server.serve();
}
