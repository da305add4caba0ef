// SPDX-License-Identifier: Apache-2.0
// Files: a descriptor that closes itself, and whole files read at once.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor();
    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }

  private:
    int fd_;
};

// A file's bytes. nullopt with "opening PATH: reason" or "reading PATH: reason" on stderr.
std::optional<std::vector<char>> read_file(const char* path);

// The first line of a small file, without its newline. nullopt, with errno, when it cannot be read. Prints nothing.
std::optional<std::string> read_line(const std::string& path);
