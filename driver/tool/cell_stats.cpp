// SPDX-License-Identifier: Apache-2.0
// cell stats: exits to the hypervisor, in all and per second, as plain text that a log can hold.
#include "cell_name.hpp"
#include "cells.hpp"
#include "command.hpp"
#include "device.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <dirent.h>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using Counters = std::map<std::string, unsigned long long>;

struct Options {
    std::string only; // id of the one cell that was asked for; empty: all
    double interval = 1.0;
    unsigned long long times = 0; // 0: until interrupted
};

struct Sample {
    Clock::time_point time = Clock::now();
    std::map<unsigned long, Counters> cells;
};

Counters read_counters(unsigned long id) {
    Counters counters;
    const std::string path = std::string(sysfs_path) + "/cells/" + std::to_string(id) + "/statistics";
    DIR* directory = opendir(path.c_str());
    if (!directory) {
        return counters;
    }
    while (const dirent* entry = readdir(directory)) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with("vmexits_")) {
            continue;
        }
        const auto line = read_line(path + "/" + entry->d_name);
        if (const auto value = line ? parse_number(line->c_str()) : std::nullopt) {
            counters[entry->d_name] = *value;
        }
    }
    closedir(directory);
    return counters;
}

bool read_sample(const Options& options, Sample& sample) {
    std::vector<unsigned long> ids;
    if (!read_cell_ids(ids)) {
        return false;
    }
    for (const unsigned long id : ids) {
        if (options.only.empty() || options.only == std::to_string(id)) {
            sample.cells[id] = read_counters(id);
        }
    }
    if (!sample.cells.empty()) {
        return true;
    }
    std::fputs(options.only.empty() ? "no cells: the hypervisor is not enabled\n" : "the cell is gone\n", stderr);
    return false;
}

void print_cell(unsigned long id, const Counters& now, const Counters* before, double seconds) {
    std::printf("cell %lu %s: %s, CPUs %s\n", id, read_cell_file(id, "name").c_str(),
                read_cell_file(id, "state").c_str(), read_cell_file(id, "cpus_assigned_list").c_str());
    std::printf("  %-24s%16s%12s\n", "counter", "sum", "per second");
    for (const auto& [name, value] : now) {
        const auto old = before ? before->find(name) : Counters::const_iterator{};
        if (!before || old == before->end() || value < old->second) {
            std::printf("  %-24s%16llu%12s\n", name.c_str(), value, "-");
        } else {
            std::printf("  %-24s%16llu%12.0f\n", name.c_str(), value,
                        static_cast<double>(value - old->second) / seconds);
        }
    }
}

void print_sample(const Sample& now, const Sample& before) {
    const double seconds = std::max(std::chrono::duration<double>(now.time - before.time).count(), 1e-6);
    if (isatty(STDOUT_FILENO)) {
        std::fputs("\x1b[H\x1b[J", stdout);
    }
    for (const auto& [id, counters] : now.cells) {
        const auto old = before.cells.find(id);
        print_cell(id, counters, old == before.cells.end() ? nullptr : &old->second, seconds);
    }
    std::fflush(stdout);
}

// The id of a cell, also when it was given by name. Empty with a reason on stderr.
std::string find_cell(const jh_cell_id& cell) {
    std::vector<unsigned long> ids;
    if (!read_cell_ids(ids)) {
        return "";
    }
    for (const unsigned long id : ids) {
        if (cell.id >= 0 ? static_cast<unsigned long>(cell.id) == id : read_cell_file(id, "name") == cell.name) {
            return std::to_string(id);
        }
    }
    std::fputs("cell stats: no such cell\n", stderr);
    return "";
}

// -i SECONDS, -n TIMES; false when the words are no options.
bool parse_options(Words words, Options& options) {
    while (!words.empty()) {
        const unsigned long long number = words.size() > 1 ? parse_number(words[1]).value_or(0) : 0;
        const std::string_view name = words[0];
        if (number == 0 || (name != "-i" && name != "-n")) {
            return false;
        }
        if (name == "-i") {
            options.interval = static_cast<double>(number);
        } else {
            options.times = number;
        }
        words = words.subspan(2);
    }
    return true;
}

} // namespace

int cell_stats(Words words) {
    Options options;
    if (!words.empty() && std::string_view(words[0]) != "-i" && std::string_view(words[0]) != "-n") {
        const auto cell = parse_cell_name(words);
        if (!cell) {
            return usage("cell stats: no cell's ID or name");
        }
        options.only = find_cell(cell->id);
        if (options.only.empty()) {
            return 1;
        }
        words = words.subspan(cell->words);
    }
    if (!parse_options(words, options)) {
        return usage("cell stats: -i SECONDS and -n TIMES take a number from 1 on");
    }
    Sample before;
    for (unsigned long long turn = 0; options.times == 0 || turn < options.times; ++turn) {
        if (turn > 0) {
            std::this_thread::sleep_for(std::chrono::duration<double>(options.interval));
        }
        Sample now;
        if (!read_sample(options, now)) {
            return 1;
        }
        print_sample(now, before);
        before = std::move(now);
    }
    return 0;
}
