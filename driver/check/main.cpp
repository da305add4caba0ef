// SPDX-License-Identifier: Apache-2.0
// driver-check device enabled|disabled SYSCONFIG CELLCONFIG | uio /dev/uioN | words ADDRESS STRIDE COUNT |
//              register OFFSET VALUE|- /dev/uioN...
#include "check.hpp"

#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
    Checks checks;
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "device" && argc == 5) {
        check_device(checks, std::string_view(argv[2]) == "enabled", argv[3], argv[4]);
    } else if (what == "uio" && argc == 3) {
        check_uio(checks, argv[2]);
    } else if (what == "words" && argc == 5) {
        return print_words(argv[2], argv[3], argv[4]);
    } else if (what == "register" && argc >= 5) {
        return use_registers(argv[2], argv[3], argv + 4);
    } else {
        std::fputs("usage: driver-check device enabled|disabled SYSCONFIG CELLCONFIG | uio /dev/uioN | "
                   "words ADDRESS STRIDE COUNT | register OFFSET VALUE|- /dev/uioN...\n",
                   stderr);
        return 2;
    }
    return checks.finish();
}
