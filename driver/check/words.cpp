// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
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

} // namespace

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
