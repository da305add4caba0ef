// SPDX-License-Identifier: Apache-2.0
#include "device.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>

Descriptor open_device() {
    Descriptor device(open(device_path, O_RDWR | O_CLOEXEC));
    if (!device.valid()) {
        std::fprintf(stderr, "opening %s: %s\n", device_path, std::strerror(errno));
    }
    return device;
}

int call_device(unsigned long request, const void* argument, const char* label) {
    const Descriptor device = open_device();
    if (!device.valid()) {
        return 1;
    }
    if (ioctl(device.get(), request, argument) == 0) {
        return 0;
    }
    std::fprintf(stderr, "%s: %s\n", label, std::strerror(errno));
    return 1;
}
