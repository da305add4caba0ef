// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error, in the manner of std::expected (C++23), which GCC 12 does not offer in C++20 mode.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace hil {

/// What went wrong, for a person: what was tried, what was found, what to do.
struct Error {
    std::string message;
};

/// A value of type T or an Error. Check before use; reading the wrong side is a programming error (assert).
template <typename T> class [[nodiscard]] Result {
  public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const { return content_.index() == 0; }
    explicit operator bool() const { return ok(); }

    [[nodiscard]] T& value() & {
        assert(ok());
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] const T& value() const& {
        assert(ok());
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] T&& value() && {
        assert(ok());
        return std::move(*std::get_if<0>(&content_));
    }
    [[nodiscard]] const Error& error() const {
        assert(!ok());
        return *std::get_if<1>(&content_);
    }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }

  private:
    std::variant<T, Error> content_;
};

/// Success without a value.
struct Nothing {};
using Status = Result<Nothing>;

} // namespace hil
