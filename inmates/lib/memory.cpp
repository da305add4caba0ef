// SPDX-License-Identifier: Apache-2.0
// The functions that a freestanding compiler and std::string_view may call.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, std::size_t size) {
    auto* target = static_cast<std::uint8_t*>(to);
    const auto* source = static_cast<const std::uint8_t*>(from);
    const auto misaligned = (reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from)) & 7;
    if (misaligned == 0) {
        for (; size >= 8; size -= 8, target += 8, source += 8) {
            *reinterpret_cast<std::uint64_t*>(target) = *reinterpret_cast<const std::uint64_t*>(source);
        }
    }
    while (size-- > 0) {
        *target++ = *source++;
    }
    return to;
}

void* memmove(void* to, const void* from, std::size_t size) {
    auto* target = static_cast<std::uint8_t*>(to);
    const auto* source = static_cast<const std::uint8_t*>(from);
    if (target <= source) {
        while (size-- > 0) {
            *target++ = *source++;
        }
    } else {
        while (size-- > 0) {
            target[size] = source[size];
        }
    }
    return to;
}

void* memset(void* to, int value, std::size_t size) {
    auto* target = static_cast<std::uint8_t*>(to);
    while (size-- > 0) {
        *target++ = static_cast<std::uint8_t>(value);
    }
    return to;
}

int memcmp(const void* left, const void* right, std::size_t size) {
    const auto* a = static_cast<const std::uint8_t*>(left);
    const auto* b = static_cast<const std::uint8_t*>(right);
    for (; size > 0; --size, ++a, ++b) {
        if (*a != *b) {
            return *a < *b ? -1 : 1;
        }
    }
    return 0;
}

std::size_t strlen(const char* text) {
    std::size_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    return length;
}

} // extern "C"
