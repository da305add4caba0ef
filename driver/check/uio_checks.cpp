// SPDX-License-Identifier: Apache-2.0
// What a UIO device of uio_ivshmem must refuse, and that its maps are what their names say.
#include "check.hpp"

#include "abi/ivshmem.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr std::size_t page = 4096;

struct Map {
    const char* name;
    bool writable;
};
constexpr Map maps[] = {
    {"registers", true},       {"state_table", false},   {"rw_section", true},
    {"input_sections", false}, {"output_section", true},
};

std::string read_text(const std::string& path) {
    char text[64] = {};
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        close(fd);
    }
    std::string found(text, static_cast<std::size_t>(size > 0 ? size : 0));
    return found.substr(0, found.find('\n'));
}

void* map(int fd, unsigned index, std::size_t size, int protection) {
    return mmap(nullptr, size, protection, MAP_SHARED, fd, static_cast<off_t>(index * page));
}

long failed(void* mapping) {
    return mapping == MAP_FAILED ? -1 : 0;
}

void check_map(Checks& checks, int fd, unsigned index, std::size_t size, const Map& expected) {
    const std::string name = expected.name;
    void* readable = map(fd, index, size, PROT_READ);
    if (!checks.allowed(name + ": read", failed(readable))) {
        return;
    }
    if (expected.writable) {
        checks.allowed(name + ": write", failed(map(fd, index, size, PROT_READ | PROT_WRITE)));
    } else {
        checks.refused(name + ": write", failed(map(fd, index, size, PROT_READ | PROT_WRITE)), EPERM);
        checks.refused(name + ": made writable", mprotect(readable, size, PROT_READ | PROT_WRITE), EACCES);
        checks.refused(name + ": private write",
                       failed(mmap(nullptr, size, PROT_WRITE, MAP_PRIVATE, fd, static_cast<off_t>(index * page))),
                       EPERM);
    }
    checks.refused(name + ": execute", failed(map(fd, index, size, PROT_READ | PROT_EXEC)), EPERM);
    checks.refused(name + ": beyond its end", failed(map(fd, index, size + page, PROT_READ)), EINVAL);
    if (name != "registers") {
        const volatile std::uint8_t* bytes = static_cast<const volatile std::uint8_t*>(readable);
        const std::uint8_t sum = static_cast<std::uint8_t>(bytes[0] + bytes[size - 1]); // both ends can be read
        checks.equal(name + ": readable", sum, sum);
    }
}

// What is written to the own section shows up in the input sections at the own place, and nowhere else there.
void check_own_output(Checks& checks, int fd, unsigned registers, unsigned inputs, unsigned output, std::size_t size) {
    auto* regs = static_cast<volatile std::uint32_t*>(map(fd, registers, page, PROT_READ | PROT_WRITE));
    auto* own = static_cast<volatile std::uint32_t*>(map(fd, output, size, PROT_READ | PROT_WRITE));
    const std::uint32_t id = regs[IVSHMEM_REG_ID / 4], peers = regs[IVSHMEM_REG_MAX_PEERS / 4];
    auto* all = static_cast<volatile const std::uint32_t*>(map(fd, inputs, peers * size, PROT_READ));
    own[0] = 0x6a61696c;
    for (std::uint32_t peer = 0; peer < peers; ++peer) {
        checks.equal("output section of peer " + std::to_string(peer) + " is ours", all[peer * size / 4] == own[0],
                     peer == id);
    }
    own[0] = 0;
    checks.equal("state register", (regs[IVSHMEM_REG_STATE / 4] = 7, regs[IVSHMEM_REG_STATE / 4]), 7);
}

} // namespace

void check_uio(Checks& checks, const char* device) {
    const int fd = open(device, O_RDWR | O_CLOEXEC);
    if (!checks.allowed(std::string("open ") + device, fd)) {
        return;
    }
    const std::string directory = "/sys/class/uio/" + std::string(std::strrchr(device, '/') + 1) + "/maps/map";
    unsigned index_of[std::size(maps)] = {};
    std::size_t output_size = 0;
    unsigned index = 0;
    for (std::size_t expected = 0; expected < std::size(maps); ++expected) {
        const std::string name = read_text(directory + std::to_string(index) + "/name");
        if (name != maps[expected].name && std::strcmp(maps[expected].name, "rw_section") == 0) {
            continue; // empty
        }
        checks.equal(std::string(maps[expected].name) + " is map " + std::to_string(index), name == maps[expected].name,
                     true);
        const std::size_t size =
            std::strtoull(read_text(directory + std::to_string(index) + "/size").c_str(), nullptr, 0);
        check_map(checks, fd, index, size, maps[expected]);
        index_of[expected] = index++;
        output_size = size;
    }
    check_own_output(checks, fd, index_of[0], index_of[3], index_of[4], output_size);
    const std::uint32_t one = 1;
    const std::uint16_t half = 1;
    checks.equal("enable interrupts", static_cast<unsigned long long>(write(fd, &one, sizeof(one))), sizeof(one));
    checks.refused("write of two bytes", write(fd, &half, sizeof(half)), EINVAL);
    auto* regs = static_cast<volatile std::uint32_t*>(map(fd, index_of[0], page, PROT_READ | PROT_WRITE));
    checks.equal("interrupts are on", regs[IVSHMEM_REG_INT_CONTROL / 4] & 1, 1);
    close(fd); // the mapping keeps the file: state and interrupts stay as they are until the process is gone
}
