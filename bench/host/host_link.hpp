// SPDX-License-Identifier: Apache-2.0
// An ivshmem link between two processes of the host: a memfd is the shared memory, two eventfds are the doorbells. The
// third environment of the probes.
#pragma once

#include "bench/core/doorbell.hpp"
#include "bench/core/latency_protocol.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <poll.h>
#include <span>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <system_error>
#include <time.h>
#include <unistd.h>

namespace hil::bench {

/// Nanoseconds of CLOCK_MONOTONIC: all processes of one machine share it, as cells share the counter.
struct HostClock {
    static Ticks now() {
        timespec time{};
        clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<Ticks>(time.tv_sec) * 1'000'000'000 + static_cast<Ticks>(time.tv_nsec);
    }
    static ClockInfo info() { return {"CLOCK_MONOTONIC", 1'000'000'000}; }
};

/// Shared by a process and its children. Two peers, one output section each.
class HostLink {
  public:
    explicit HostLink(std::size_t output_size) : output_size_(output_size) {
        const int memory = memfd_create("hil-link", MFD_CLOEXEC);
        if (memory < 0 || ftruncate(memory, static_cast<off_t>(2 * output_size)) != 0) {
            throw std::system_error(errno, std::generic_category(), "memfd of the link");
        }
        void* start = mmap(nullptr, 2 * output_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        close(memory);
        if (start == MAP_FAILED) {
            throw std::system_error(errno, std::generic_category(), "mapping the link");
        }
        start_ = static_cast<std::byte*>(start);
        for (int& bell : bells_) {
            bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
            if (bell < 0) {
                throw std::system_error(errno, std::generic_category(), "eventfd of the link");
            }
        }
    }
    HostLink(const HostLink&) = delete;
    HostLink& operator=(const HostLink&) = delete;
    ~HostLink() {
        munmap(start_, 2 * output_size_);
        for (const int bell : bells_) {
            close(bell);
        }
    }

    std::span<std::byte> output(unsigned peer) const { return {start_ + peer * output_size_, output_size_}; }
    /// The eventfd that interrupts `peer`.
    int bell(unsigned peer) const { return bells_.at(peer); }

  private:
    std::byte* start_ = nullptr;
    std::size_t output_size_;
    std::array<int, 2> bells_{-1, -1};
};

/// The probes' environment on the host.
class HostDoorbell {
  public:
    HostDoorbell(const HostLink& link, unsigned own) : own_(link.bell(own)), peer_(link.bell(1 - own)) {}

    Ticks now() const { return HostClock::now(); }

    void ring() {
        const std::uint64_t one = 1;
        if (write(peer_, &one, sizeof one) != static_cast<ssize_t>(sizeof one)) {
            throw std::system_error(errno, std::generic_category(), "ringing an eventfd");
        }
    }

    std::optional<Ticks> wait(Ticks deadline) {
        for (;;) {
            const Ticks before = now();
            const Ticks left = deadline > before ? deadline - before : 0;
            const timespec limit{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
            pollfd waiting{own_, POLLIN, 0};
            if (ppoll(&waiting, 1, &limit, nullptr) == 0) {
                return std::nullopt;
            }
            std::uint64_t count = 0;
            const ssize_t size = read(own_, &count, sizeof count);
            const Ticks stamp = now();
            if (size == static_cast<ssize_t>(sizeof count)) {
                return stamp;
            }
        }
    }

    void drain(Ticks quiet) {
        for (unsigned taken = 0; taken < most_drained && wait(now() + quiet); ++taken) {
        }
    }

  private:
    int own_;
    int peer_;
};

} // namespace hil::bench
