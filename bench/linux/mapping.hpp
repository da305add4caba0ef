// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <sys/mman.h>
#include <utility>

namespace hil::bench {

/// Owns mapped memory.
class Mapping {
  public:
    Mapping() = default;
    Mapping(void* start, std::size_t size) : bytes_(static_cast<std::byte*>(start), size) {}
    Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Mapping() {
        if (!bytes_.empty()) {
            munmap(bytes_.data(), bytes_.size());
        }
    }

    std::span<std::byte> bytes() const { return bytes_; }

  private:
    std::span<std::byte> bytes_;
};

} // namespace hil::bench
