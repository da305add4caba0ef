// SPDX-License-Identifier: Apache-2.0
// jailhouse: the command line of /dev/jailhouse. Same commands, texts and exit codes for gaol and for Jailhouse.
#include "abi/cell_config.h"
#include "command.hpp"

#include <cstdio>
#include <string_view>

namespace {

struct Command {
    std::string_view name;
    int (*run)(Words);
};

constexpr Command commands[] = {{"enable", enable}, {"disable", disable}, {"console", console}};

constexpr Command cell_commands[] = {
    {"create", cell_create},   {"load", cell_load}, {"start", cell_start}, {"shutdown", cell_shutdown},
    {"destroy", cell_destroy}, {"list", cell_list}, {"stats", cell_stats},
};

const Command* find(std::span<const Command> table, std::string_view name) {
    for (const Command& command : table) {
        if (command.name == name) {
            return &command;
        }
    }
    return nullptr;
}

} // namespace

int usage(const char* complaint) {
    FILE* stream = complaint ? stderr : stdout;
    if (complaint) {
        std::fprintf(stderr, "jailhouse: %s\n", complaint);
    }
    std::fputs("Usage: jailhouse { COMMAND | --help | --version }\n"
               "\n"
               "Available commands:\n"
               "   enable SYSCONFIG\n"
               "   disable\n"
               "   console [-f | --follow]\n"
               "   cell create CELLCONFIG\n"
               "   cell list\n"
               "   cell load { ID | [--name] NAME } { IMAGE | { -s | --string } \"STRING\" }\n"
               "             [-a | --address ADDRESS] ...\n"
               "   cell start { ID | [--name] NAME }\n"
               "   cell shutdown { ID | [--name] NAME }\n"
               "   cell destroy { ID | [--name] NAME }\n"
               "   cell stats [{ ID | [--name] NAME }] [-i SECONDS] [-n TIMES]\n",
               stream);
    return complaint ? 1 : 0;
}

int main(int argc, char** argv) {
    Words words(argv, static_cast<std::size_t>(argc));
    if (words.size() < 2) {
        return usage("a command is missing");
    }
    const std::string_view name = words[1];
    if (name == "-h" || name == "--help") {
        return usage(nullptr);
    }
    if (name == "--version") {
        std::printf("jailhouse: the tool of gaol %s, configs of revision %d\n", GAOL_VERSION, JH_CONFIG_REVISION);
        return 0;
    }
    if (name == "cell") {
        if (words.size() < 3) {
            return usage("a cell command is missing");
        }
        const Command* command = find(cell_commands, words[2]);
        return command ? command->run(words.subspan(3)) : usage("no such cell command");
    }
    const Command* command = find(commands, name);
    return command ? command->run(words.subspan(2)) : usage("no such command");
}
