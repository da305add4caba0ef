// SPDX-License-Identifier: Apache-2.0
// Telnet from a hostile server: data never grows, the answers stay bounded.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "hil/lib/stream_rfc2217.hpp"

namespace {

// A server whose bytes are the fuzzer's, and that takes a few bytes at a time.
class Server : public hil::Stream {
  public:
    Server(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    int descriptor() const override { return -1; }
    hil::Transfer read(std::span<char> to) override {
        const std::size_t count = std::min({to.size(), size_, std::size_t{37}});
        if (count == 0) {
            return {0, hil::StreamState::ended, {}};
        }
        std::memcpy(to.data(), data_, count);
        data_ += count;
        size_ -= count;
        return {count, hil::StreamState::open, {}};
    }
    hil::Transfer write(std::span<const char> from) override {
        return {std::min<std::size_t>(from.size(), 5), hil::StreamState::open, {}};
    }

  private:
    const std::uint8_t* data_;
    std::size_t size_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    hil::Rfc2217Stream stream(std::make_unique<Server>(data, size), 115200);
    std::array<char, 64> buffer{};
    std::size_t total = 0;
    for (;;) {
        const hil::Transfer got = stream.read(buffer);
        if (got.count > buffer.size()) {
            std::abort();
        }
        total += got.count;
        if (got.state != hil::StreamState::open) {
            break;
        }
        (void)stream.write(std::string_view("x\xff"));
    }
    if (total > size) {
        std::abort();
    }
    return 0;
}
