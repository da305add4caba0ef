// SPDX-License-Identifier: Apache-2.0
// hil-cellc: compiles and checks a target's cell configs at build time.
//   hil-cellc compile IN.yaml OUT.cell
//   hil-cellc check SYSTEM CELL...        exit code 1 when a check finds an error or a warning
#include <cstdio>
#include <string>
#include <string_view>

#include "hil/lib/cell_check.hpp"
#include "hil/lib/cell_file.hpp"

namespace {

constexpr int wrong_use = 2;

int fail(const hil::Error& error) {
    std::fprintf(stderr, "hil-cellc: %s\n", error.message.c_str());
    return 1;
}

int compile(const char* input, const char* output) {
    const hil::Result<hil::CellFile> file = hil::read_cell_file(input);
    if (!file) {
        return fail(file.error());
    }
    const hil::Status written = hil::write_file_bytes(output, hil::serialise_cell_config(file->named.config));
    return written ? 0 : fail(written.error());
}

int check(int count, char** paths) {
    hil::CheckInput input;
    for (int index = 0; index < count; ++index) {
        hil::Result<hil::CellFile> file = hil::read_cell_file(paths[index]);
        if (!file) {
            return fail(file.error());
        }
        if (index == 0) {
            input.board.table = file->devices;
            input.system = std::move(*file);
        } else {
            input.cells.push_back(std::move(*file));
        }
    }
    bool bad = false;
    for (const hil::Finding& finding : hil::check_cells(input)) {
        if (finding.severity != hil::FindingSeverity::note) {
            std::fputs(hil::finding_text(finding).c_str(), stderr);
            bad = true;
        }
    }
    return bad ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "compile" && argc == 4) {
        return compile(argv[2], argv[3]);
    }
    if (command == "check" && argc > 2) {
        return check(argc - 2, argv + 2);
    }
    std::fputs("usage: hil-cellc compile IN.yaml OUT.cell\n       hil-cellc check SYSTEM CELL...\n", stderr);
    return wrong_use;
}
