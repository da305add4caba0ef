// SPDX-License-Identifier: Apache-2.0
#include "driver/agent/job.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "driver/agent/file.hpp"

namespace hil::agent {

namespace {

std::uint32_t number(std::string_view bytes) {
    return frame::get_u32(reinterpret_cast<const std::uint8_t*>(bytes.data()));
}

std::span<const std::uint8_t> raw(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

constexpr int kLevel = 1; // of packing: a small machine must not be kept busy

} // namespace

void Job::put(std::uint32_t offset, std::span<const std::uint8_t> piece, bool last) {
    if (state_.phase != Phase::collecting || offset != argument_.size()) {
        return;
    }
    if (argument_.size() + piece.size() > kMaxPacked) {
        refuse(EFBIG, "the request is longer than 64 MiB");
        return;
    }
    argument_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    if (last) {
        start();
    }
}

void Job::start() {
    Unpacker unpacker(kMaxArgument);
    const bool whole = unpacker.add(argument_) && unpacker.ended();
    std::string().swap(argument_); // not needed any more, whatever happens
    if (!whole) {
        refuse(EBADMSG, "unpacking the request");
        return;
    }
    const std::string argument = unpacker.take();
    if (argument.empty()) {
        refuse(EINVAL, "empty request");
        return;
    }
    const std::string_view rest = std::string_view(argument).substr(1);
    switch (static_cast<Operation>(argument[0])) {
    case Operation::run:
        run(rest);
        return;
    case Operation::read_file: {
        const std::string path(rest);
        std::string content;
        if (const int error = read_file(path, kMaxStream, content, state_.truncated); error != 0) {
            refuse(error, "reading " + path);
            return;
        }
        add(0, content);
        finish();
        return;
    }
    case Operation::write_file: {
        const std::size_t end = rest.find('\0', 4);
        if (rest.size() < 5 || end == std::string_view::npos) {
            refuse(EINVAL, "write_file without a path");
            return;
        }
        const std::string path(rest.substr(4, end - 4));
        const int error = write_file(path, static_cast<mode_t>(number(rest) & 07777u), rest.substr(end + 1));
        error == 0 ? finish() : refuse(error, "writing " + path);
        return;
    }
    }
    refuse(ENOSYS, "unknown operation " + std::to_string(static_cast<unsigned char>(argument[0])));
}

void Job::run(std::string_view argument) {
    if (argument.size() < 7 || argument.back() != '\0') {
        refuse(EINVAL, "run without a command");
        return;
    }
    const std::chrono::milliseconds limit{number(argument)};
    const bool shell = argument[4] != 0;
    std::vector<std::string> words;
    for (argument.remove_prefix(5); !argument.empty();) {
        const std::size_t end = argument.find('\0');
        words.emplace_back(argument.substr(0, end));
        argument.remove_prefix(end + 1);
    }
    child_ = std::make_unique<Child>(words, shell, limit);
    if (child_->failed() != 0) {
        refuse(child_->failed(), "starting " + (shell ? std::string("sh") : words[0]));
        child_.reset();
        return;
    }
    state_.phase = Phase::running;
}

std::size_t Job::read(int which) {
    std::string bytes;
    const std::size_t count = child_->read(which, bytes);
    add(which, bytes); // what is too much as well: the pipe is read on, so that the command is not stuck
    return count;
}

void Job::add(int which, std::string_view bytes) {
    Stream& stream = streams_[which];
    const std::string_view kept = bytes.substr(0, kMaxStream - stream.size);
    state_.truncated = state_.truncated || kept.size() < bytes.size();
    if (kept.empty()) {
        return;
    }
    if (!stream.packer) {
        stream.packer.emplace(kLevel);
    }
    stream.packer->add(kept, stream.packed);
    stream.size += kept.size();
    stream.crc = frame::crc32(raw(kept), stream.crc);
}

void Job::update() {
    for (int which = 0; which < 2; ++which) {
        if (streams_[which].packer) {
            streams_[which].packer->flush(streams_[which].packed);
        }
        state_.size[which] = static_cast<std::uint32_t>(streams_[which].packed.size());
    }
}

// What the command wrote before it ended is in its pipes, however late it is when this process gets to look there: a
// machine stands still while its serial line takes no more. No more than there is now: others may go on writing.
void Job::read_rest() {
    for (int which = 0; which < 2; ++which) {
        for (std::size_t left = child_->waiting(which), count = 0; left > 0; left -= std::min(left, count)) {
            count = read(which);
            if (count == 0) {
                break;
            }
        }
    }
}

bool Job::settle(Clock::time_point now) {
    if (child_ == nullptr || !child_->done(now)) {
        return false;
    }
    read_rest();
    const int status = child_->status();
    if (WIFEXITED(status) && child_->cut() == Child::Cut::none) {
        state_.ending = Ending::exited;
        state_.code = static_cast<std::uint32_t>(WEXITSTATUS(status));
    } else {
        state_.ending = child_->cut() == Child::Cut::time_limit ? Ending::timed_out
                        : child_->cut() == Child::Cut::request  ? Ending::killed
                                                                : Ending::signalled;
        state_.code = WIFSIGNALED(status) ? static_cast<std::uint32_t>(WTERMSIG(status)) : 0;
    }
    child_.reset();
    finish();
    return true;
}

void Job::refuse(int error, const std::string& text) {
    state_.ending = Ending::refused;
    state_.code = static_cast<std::uint32_t>(error);
    add(1, text + ": " + std::strerror(error)); // nothing was written yet
    finish();
}

void Job::finish() {
    state_.phase = Phase::done;
    for (Stream& stream : streams_) {
        if (stream.packer) {
            stream.packer->finish(stream.packed);
            stream.packer.reset();
        }
    }
    update();
    state_.crc = static_cast<std::uint32_t>(
        crc32_combine(streams_[0].crc, streams_[1].crc, static_cast<z_off_t>(streams_[1].size)));
}

} // namespace hil::agent
