// SPDX-License-Identifier: Apache-2.0
// Source: Linux, Documentation/driver-api/uio-howto.rst (sysfs, mmap offsets, read).
#include "bench/linux/uio_ivshmem.hpp"

#include "abi/ivshmem.h"
#include "bench/core/mmio.hpp"
#include "bench/linux/failure.hpp"
#include "bench/linux/sysfs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <unistd.h>
#include <vector>

namespace hil::bench {
namespace {

namespace fs = std::filesystem;

const fs::path uio_class = "/sys/class/uio";
constexpr unsigned most_maps = 5; // MAX_UIO_MAPS

/// The number of the map with this name.
std::optional<unsigned> find_map(const fs::path& device, const std::string& name) {
    for (unsigned index = 0; index < most_maps; ++index) {
        if (read_line(device / "maps" / ("map" + std::to_string(index)) / "name") == name) {
            return index;
        }
    }
    return std::nullopt;
}

std::string map_names(const fs::path& device) {
    std::string names;
    for (unsigned index = 0; index < most_maps; ++index) {
        if (const auto name = read_line(device / "maps" / ("map" + std::to_string(index)) / "name")) {
            names += (names.empty() ? "" : ", ") + *name;
        }
    }
    return names.empty() ? "none" : names;
}

} // namespace

std::string UioIvshmem::find() {
    std::vector<std::string> devices;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(uio_class, error)) {
        devices.push_back(entry.path().filename());
    }
    std::sort(devices.begin(), devices.end());
    for (const std::string& device : devices) {
        if (find_map(uio_class / device, "output_section") && find_map(uio_class / device, "registers")) {
            return "/dev/" + device;
        }
    }
    throw Failure{Failure::infrastructure,
                  "looked in /sys/class/uio for an ivshmem device, found " + std::to_string(devices.size()) +
                      " UIO devices and none with the maps registers and output_section: is the hypervisor enabled and "
                      "uio_ivshmem.ko loaded (dmesg says what it found)?"};
}

UioIvshmem::UioIvshmem(const std::string& device)
    : device_(device), sysfs_(uio_class / fs::path(device).filename()),
      driver_(read_line(fs::path(sysfs_) / "name").value_or("")) {
    if (!fs::exists(sysfs_)) {
        throw Failure{Failure::infrastructure, "no " + sysfs_ + " for " + device +
                                                   ": is uio_ivshmem.ko loaded, and did it find the device (dmesg)?"};
    }
    descriptor_ = open(device.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor_ < 0) {
        throw Failure{Failure::infrastructure, "cannot open " + device + ": " + std::strerror(errno)};
    }
    registers_ = map("registers", true);
    state_table_ = map("state_table", false);
    input_ = map("input_sections", false);
    output_ = map("output_section", true);
    id_ = read(IVSHMEM_REG_ID);
    max_peers_ = read(IVSHMEM_REG_MAX_PEERS);
    if (id_ >= max_peers_ || std::uint64_t{max_peers_} * 4 > state_table_.bytes().size() ||
        std::uint64_t{max_peers_} * output_.bytes().size() > input_.bytes().size()) {
        throw Failure{Failure::infrastructure,
                      device + ": id " + std::to_string(id_) + " of " + std::to_string(max_peers_) +
                          " peers does not fit a state table of " + std::to_string(state_table_.bytes().size()) +
                          ", input sections of " + std::to_string(input_.bytes().size()) +
                          " and an output section of " + std::to_string(output_.bytes().size()) + " bytes"};
    }
}

UioIvshmem::~UioIvshmem() {
    if (descriptor_ >= 0) {
        close(descriptor_);
    }
}

Mapping UioIvshmem::map(const std::string& name, bool writable) const {
    const std::optional<unsigned> index = find_map(sysfs_, name);
    if (!index) {
        throw Failure{Failure::infrastructure, device_ + " (" + driver_ + ") has no map named " + name + ", only " +
                                                   map_names(sysfs_) + ": is that a uio_ivshmem device?"};
    }
    const std::uint64_t size =
        read_number(fs::path(sysfs_) / "maps" / ("map" + std::to_string(*index)) / "size").value_or(0);
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    void* start = mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, descriptor_,
                       static_cast<off_t>(*index * page));
    if (start == MAP_FAILED) {
        throw Failure{Failure::infrastructure, device_ + ": cannot map " + name + " (" + std::to_string(size) +
                                                   " bytes): " + std::strerror(errno)};
    }
    return {start, size};
}

std::uint32_t UioIvshmem::read(std::uint64_t offset) const {
    return mmio_read32(reinterpret_cast<std::uintptr_t>(registers_.bytes().data()) + offset);
}

void UioIvshmem::write(std::uint64_t offset, std::uint32_t value) const {
    mmio_write32(reinterpret_cast<std::uintptr_t>(registers_.bytes().data()) + offset, value);
}

std::uint32_t UioIvshmem::state(std::uint32_t peer) const {
    return mmio_read32(reinterpret_cast<std::uintptr_t>(state_table_.bytes().data()) + 4ull * peer);
}

void UioIvshmem::set_state(std::uint32_t state) const {
    write(IVSHMEM_REG_STATE, state);
}

std::span<const std::byte> UioIvshmem::output(std::uint32_t peer) const {
    const std::size_t size = output_.bytes().size();
    return input_.bytes().subspan(peer * size, size);
}

void UioIvshmem::ring(std::uint32_t peer, std::uint32_t vector) const {
    write(IVSHMEM_REG_DOORBELL, peer << 16 | vector);
}

void UioIvshmem::enable_interrupt() const {
    write(IVSHMEM_REG_INT_CONTROL, IVSHMEM_INT_ENABLE);
}
void UioIvshmem::disable_interrupt() const {
    write(IVSHMEM_REG_INT_CONTROL, 0);
}

std::optional<Ticks> UioIvshmem::read_interrupt() const {
    std::int32_t count = 0;
    const ssize_t size = ::read(descriptor_, &count, sizeof count);
    const Ticks stamp = SharedCounter::now();
    if (size != static_cast<ssize_t>(sizeof count)) {
        if (size < 0 && errno == EINTR) {
            return std::nullopt;
        }
        throw Failure{Failure::infrastructure, "waiting for an interrupt of " + device_ + ": read() gave " +
                                                   std::to_string(size) + ", " + std::strerror(errno)};
    }
    enable_interrupt();
    return stamp;
}

std::optional<Ticks> UioIvshmem::read_interrupt_within(int milliseconds) const {
    pollfd waiting{descriptor_, POLLIN, 0};
    return poll(&waiting, 1, milliseconds) == 1 ? read_interrupt() : std::nullopt;
}

} // namespace hil::bench
