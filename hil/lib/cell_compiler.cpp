// SPDX-License-Identifier: Apache-2.0
// hil-cellc: compiles a target's cell configs at build time.
//   hil-cellc compile IN.yaml OUT.cell
#include <cstdio>
#include <string>
#include <string_view>

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

} // namespace

int main(int argc, char** argv) {
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "compile" && argc == 4) {
        return compile(argv[2], argv[3]);
    }
    std::fputs("usage: hil-cellc compile IN.yaml OUT.cell\n", stderr);
    return wrong_use;
}
