// SPDX-License-Identifier: Apache-2.0
// enable, disable
#include "command.hpp"
#include "device.hpp"

#include <sys/ioctl.h>

#include "abi/ioctl.h"

#include <cstdio>

#include "abi/cell_config.h"

int enable(Words words) {
    if (words.size() != 1)
        return usage("enable takes one system config");
    const auto config = read_file(words[0]);
    if (!config)
        return 1;
    if (config->size() < sizeof(jh_system)) {
        std::fprintf(stderr, "%s: %zu bytes: no system config (at least %zu)\n", words[0], config->size(),
                     sizeof(jh_system));
        return 1;
    }
    return call_device(JH_IOC_ENABLE, config->data(), "JAILHOUSE_ENABLE");
}

int disable(Words words) {
    if (!words.empty())
        return usage("disable takes nothing");
    return call_device(JH_IOC_DISABLE, nullptr, "JAILHOUSE_DISABLE");
}
