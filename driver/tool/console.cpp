// SPDX-License-Identifier: Apache-2.0
// console: what the hypervisor has printed; -f goes on with what it prints.
#include "command.hpp"
#include "device.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

bool write_all(const char* bytes, std::size_t size) {
    while (size > 0) {
        const ssize_t count = write(STDOUT_FILENO, bytes, size);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        if (count > 0) {
            bytes += count;
            size -= static_cast<std::size_t>(count);
        }
    }
    return true;
}

// The device's reading starts with what the ring still holds, so nothing is lost in between.
int follow() {
    const Descriptor device = open_device();
    if (!device.valid()) {
        return 1;
    }
    char chunk[1024];
    for (;;) {
        const ssize_t count = read(device.get(), chunk, sizeof(chunk));
        if (count == 0) {
            return 0; // the hypervisor was disabled
        }
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            std::fprintf(stderr, "reading %s: %s\n", device_path, std::strerror(errno));
            return 1;
        }
        if (!write_all(chunk, static_cast<std::size_t>(count))) {
            return 1;
        }
    }
}

} // namespace

int console(Words words) {
    if (words.size() == 1 && (std::string_view(words[0]) == "-f" || std::string_view(words[0]) == "--follow")) {
        return follow();
    }
    if (!words.empty()) {
        return usage("console takes -f or nothing");
    }
    const auto text = read_file((std::string(sysfs_path) + "/console").c_str());
    return text && write_all(text->data(), text->size()) ? 0 : 1;
}
