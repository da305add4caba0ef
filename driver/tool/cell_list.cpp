// SPDX-License-Identifier: Apache-2.0
// cell list
#include "cell_name.hpp"
#include "cells.hpp"
#include "command.hpp"
#include "device.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>

bool read_cell_ids(std::vector<unsigned long>& ids) {
    const std::string path = std::string(sysfs_path) + "/cells";
    DIR* directory = opendir(path.c_str());
    if (!directory) {
        std::fprintf(stderr, "reading %s: %s\n", path.c_str(), std::strerror(errno));
        return false;
    }
    while (const dirent* entry = readdir(directory)) {
        if (const auto id = parse_number(entry->d_name)) {
            ids.push_back(static_cast<unsigned long>(*id));
        }
    }
    closedir(directory);
    std::sort(ids.begin(), ids.end());
    return true;
}

std::string read_cell_file(unsigned long id, const std::string& file) {
    return read_line(std::string(sysfs_path) + "/cells/" + std::to_string(id) + "/" + file).value_or("");
}

namespace {

void print_row(const char* id, const char* name, const char* state, const char* assigned, const char* failed) {
    std::printf("%-8s%-24s%-18s%-24s%-24s\n", id, name, state, assigned, failed);
}

} // namespace

int cell_list(Words words) {
    if (!words.empty()) {
        return usage("cell list takes nothing");
    }
    std::vector<unsigned long> ids;
    if (!read_cell_ids(ids)) {
        return 1;
    }
    if (ids.empty()) {
        return 0; // not enabled
    }
    print_row("ID", "Name", "State", "Assigned CPUs", "Failed CPUs");
    for (const unsigned long id : ids) {
        print_row(std::to_string(id).c_str(), read_cell_file(id, "name").c_str(), read_cell_file(id, "state").c_str(),
                  read_cell_file(id, "cpus_assigned_list").c_str(), read_cell_file(id, "cpus_failed_list").c_str());
    }
    return 0;
}
