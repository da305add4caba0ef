// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr unsigned long page = 4096;

// A word of physical memory, or nothing with a reason on stderr.
bool read_word(int memory, unsigned long address, unsigned& word) {
    void* mapping = mmap(nullptr, page, PROT_READ, MAP_SHARED, memory, static_cast<off_t>(address & ~(page - 1)));
    if (mapping == MAP_FAILED) {
        std::perror("/dev/mem");
        return false;
    }
    word = *reinterpret_cast<const volatile unsigned*>(static_cast<const char*>(mapping) + (address & (page - 1)));
    munmap(mapping, page);
    return true;
}

/// A register of a UIO device, whose first map has them: /dev/mem is closed where a driver has the memory.
volatile unsigned* map_registers(const char* device) {
    const int file = open(device, O_RDWR | O_CLOEXEC);
    void* mapping = file < 0 ? MAP_FAILED : mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapping == MAP_FAILED) {
        std::perror(device);
        return nullptr;
    }
    return static_cast<volatile unsigned*>(mapping);
}

} // namespace

int use_registers(const char* offset, const char* value, char* const* devices) {
    const unsigned long at = std::strtoul(offset, nullptr, 0);
    bool good = at < page;
    for (; good && *devices != nullptr; ++devices) {
        volatile unsigned* registers = map_registers(*devices);
        good = registers != nullptr;
        if (good && std::string_view(value) != "-") {
            registers[at / sizeof(unsigned)] = static_cast<unsigned>(std::strtoul(value, nullptr, 0));
        } else if (good) {
            std::printf("%#x\n", registers[at / sizeof(unsigned)]);
        }
    }
    return good ? 0 : 1;
}

int print_words(const char* address, const char* stride, const char* count) {
    const unsigned long start = std::strtoul(address, nullptr, 0);
    const unsigned long step = std::strtoul(stride, nullptr, 0);
    const unsigned long words = std::strtoul(count, nullptr, 0);
    const int memory = open("/dev/mem", O_RDONLY | O_SYNC | O_CLOEXEC);
    bool good = memory >= 0 && (start | step) % sizeof(unsigned) == 0;
    for (unsigned long index = 0; good && index < words; ++index) {
        unsigned word = 0;
        good = read_word(memory, start + index * step, word);
        if (good) {
            std::printf("%#x\n", word);
        }
    }
    if (memory >= 0) {
        close(memory);
    }
    return good ? 0 : 1;
}
