// SPDX-License-Identifier: Apache-2.0
// Packing of what travels between the controller and hil-agent: raw deflate (RFC 1951), by zlib. Both sides include
// this file. Fewer characters are what makes a transfer faster, whatever the line.
#pragma once

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace hil::agent {

namespace detail {

/// Has deflate() or inflate() take all of `in`, and appends what they make of it to `to`, up to `limit` and one buffer
/// more. The last code they gave.
inline int work(z_stream& stream, int (*function)(z_streamp, int), int mode, std::string_view in, std::string& to,
                std::size_t limit) {
    // zlib does not write to its input; its interface is older than const.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream.avail_in = static_cast<uInt>(in.size());
    int result = Z_OK;
    do {
        std::array<char, 4096> out;
        stream.next_out = reinterpret_cast<Bytef*>(out.data());
        stream.avail_out = out.size();
        result = function(&stream, mode);
        to.append(out.data(), out.size() - stream.avail_out);
    } while (stream.avail_out == 0 && result == Z_OK && to.size() <= limit);
    return result;
}

inline void check(int begun) {
    if (begun != Z_OK) { // of its errors only a lack of memory can happen here
        std::abort();
    }
}

} // namespace detail

/// Packs one stream as its bytes come.
class Packer {
  public:
    /// `level`: 1 (fast) to 9; on programs and text 1 packs to some 3 % more than 6, in less than half the time.
    explicit Packer(int level) : stream_(new z_stream{}) {
        detail::check(deflateInit2(stream_.get(), level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY));
    }
    /// Appends to `to` what is certain so far; up to 4 GiB at once.
    void add(std::string_view bytes, std::string& to) { (void)work(Z_NO_FLUSH, bytes, to); }
    /// Appends the rest of what was added: an Unpacker then has all of it. Costs up to five bytes.
    void flush(std::string& to) { (void)work(Z_SYNC_FLUSH, {}, to); }
    /// Appends the end. Nothing may be added after it.
    void finish(std::string& to) { (void)work(Z_FINISH, {}, to); }

  private:
    struct End {
        void operator()(z_stream* stream) const {
            (void)deflateEnd(stream);
            delete stream;
        }
    };

    int work(int mode, std::string_view bytes, std::string& to) {
        return detail::work(*stream_, deflate, mode, bytes, to, to.max_size());
    }

    std::unique_ptr<z_stream, End> stream_;
};

/// Unpacks one stream as its pieces come.
class Unpacker {
  public:
    /// `limit`: bytes that it may unpack to.
    explicit Unpacker(std::size_t limit) : limit_(limit), stream_(new z_stream{}) {
        detail::check(inflateInit2(stream_.get(), -MAX_WBITS));
    }
    /// Takes the next piece. False when what came is not packed right, goes on after its end, or unpacks to more than
    /// the limit: then nothing further is taken.
    [[nodiscard]] bool add(std::string_view packed) {
        if (packed.empty() || !good_) {
            return good_;
        }
        const int result =
            ended_ ? Z_DATA_ERROR : detail::work(*stream_, inflate, Z_SYNC_FLUSH, packed, bytes_, limit_);
        ended_ = ended_ || result == Z_STREAM_END;
        good_ = (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) && stream_->avail_in == 0 &&
                bytes_.size() <= limit_;
        return good_;
    }
    /// The packed stream is complete.
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] std::string take() { return std::move(bytes_); }

  private:
    struct End {
        void operator()(z_stream* stream) const {
            (void)inflateEnd(stream);
            delete stream;
        }
    };

    std::size_t limit_;
    std::unique_ptr<z_stream, End> stream_;
    std::string bytes_;
    bool good_ = true;
    bool ended_ = false;
};

/// All of it at once.
inline std::string packed(std::string_view bytes, int level) {
    std::string result;
    Packer packer(level);
    packer.add(bytes, result);
    packer.finish(result);
    return result;
}

} // namespace hil::agent
