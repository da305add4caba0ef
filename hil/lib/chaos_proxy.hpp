// SPDX-License-Identifier: Apache-2.0
// ChaosProxy: chaos between a machine's line and whoever wants to use it, as a program of its own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "hil/lib/chaos.hpp"
#include "hil/lib/file_descriptor.hpp"
#include "hil/lib/stream.hpp"

namespace hil {

/// Opens a stream and offers it again, with faults. While nobody uses the offer, the machine's bytes are not read, so
/// none is lost. When the machine's line ends, the user's is closed; for its next user it is opened again. A disconnect
/// by chaos closes the user's side alone.
class ChaosProxy {
  public:
    static constexpr std::chrono::milliseconds kConnectLimit{10'000};
    /// `stream`: as make_stream_source() takes it. `offer`: "pty" (a new pseudo terminal, see where()), or
    /// "unix:PATH" (a socket that is listened on). `connect_limit`: for each opening of the machine's line.
    static Result<std::unique_ptr<ChaosProxy>> create(const std::string& stream, const std::string& offer,
                                                      const ChaosOptions& options,
                                                      std::chrono::milliseconds connect_limit = kConnectLimit);
    /// The stream to give to a controller: "unix:PATH" or "pty:PATH".
    [[nodiscard]] const std::string& where() const { return where_; }
    /// Carries bytes until `interrupted` says so, asked ten times a second.
    Status serve(const std::function<bool()>& interrupted);
    /// The sum over all connections.
    [[nodiscard]] ChaosCounts counts() const;

  private:
    ChaosProxy(const ChaosOptions& options, std::chrono::milliseconds connect_limit)
        : options_(options), connect_limit_(connect_limit) {}
    Result<std::unique_ptr<Stream>> wait_for_user(const std::function<bool()>& interrupted);
    Result<std::unique_ptr<ChaosStream>> open_machine(const std::function<bool()>& interrupted);
    void carry(ChaosStream& machine, Stream& user, const std::function<bool()>& interrupted);
    void add(const ChaosCounts& counts);

    ChaosOptions options_;
    std::chrono::milliseconds connect_limit_;
    std::unique_ptr<StreamSource> machine_;
    std::unique_ptr<Stream> line_;       // to the machine, kept from one user to the next
    std::unique_ptr<StreamSource> user_; // a listener; none with a pty
    FileDescriptor pty_;
    FileDescriptor pty_inner_; // kept open: the pty does not hang up between its users
    std::string where_;
    ChaosCounts total_;
};

} // namespace hil
