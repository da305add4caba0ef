// SPDX-License-Identifier: Apache-2.0
// One request: its argument as it comes in, the command it runs, the answer it leaves.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "driver/agent/child.hpp"
#include "driver/agent/packing.hpp"
#include "driver/agent/protocol.hpp"

namespace hil::agent {

class Job {
  public:
    explicit Job(std::uint32_t id) : id_(id) {}

    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] const State& state() const { return state_; }
    [[nodiscard]] std::uint32_t received() const { return static_cast<std::uint32_t>(argument_.size()); }
    /// As it travels: packed. Of a running command the last bytes may not be among those that its state tells of.
    [[nodiscard]] const std::string& stream(int which) const { return streams_[which].packed; }
    [[nodiscard]] Child* child() { return child_.get(); }
    [[nodiscard]] std::size_t memory() const { return argument_.size() + stream(0).size() + stream(1).size(); }

    /// Takes a piece of the argument when it is the next one. The last one starts the work, this once.
    void put(std::uint32_t offset, std::span<const std::uint8_t> piece, bool last);
    /// Reads what a pipe of the command has, up to a bound a call; bytes that came.
    std::size_t read(int which);
    /// Brings the state up to what the command has written so far.
    void update();
    /// Looks whether the command is done; true when it became so now.
    bool settle(Clock::time_point now);

    bool acknowledged = false;        ///< the controller knows that it is done
    std::uint32_t inline_limit = 256; ///< bytes of both streams that may travel in the state frame itself
    unsigned last_get[2] = {0, 0};    ///< turn of the last question for a piece of each stream
    unsigned said = 0;                ///< state frames sent unasked since it is done
    Clock::time_point next_state{};   ///< when to say its state unasked

  private:
    struct Stream {
        std::string packed;
        std::optional<Packer> packer; // since there is something to pack
        std::size_t size = 0;         // unpacked
        std::uint32_t crc = 0;        // of that
    };

    void start();
    void run(std::string_view argument);
    void read_rest();
    void add(int which, std::string_view bytes);
    void refuse(int error, const std::string& text);
    void finish();

    std::uint32_t id_;
    State state_;
    std::string argument_; // packed
    Stream streams_[2];
    std::unique_ptr<Child> child_;
};

} // namespace hil::agent
