// SPDX-License-Identifier: Apache-2.0
// The functions that the compiler calls by itself. Plain loops: sizes are small, and alignment traps are off limits.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, size_t size) {
    auto* out = static_cast<uint8_t*>(to);
    const auto* in = static_cast<const uint8_t*>(from);
    if (((reinterpret_cast<uintptr_t>(out) | reinterpret_cast<uintptr_t>(in)) & 7) == 0) {
        for (; size >= 8; size -= 8, out += 8, in += 8) {
            *reinterpret_cast<uint64_t*>(out) = *reinterpret_cast<const uint64_t*>(in);
        }
    }
    for (size_t index = 0; index < size; ++index) {
        out[index] = in[index];
    }
    return to;
}

void* memmove(void* to, const void* from, size_t size) {
    auto* out = static_cast<uint8_t*>(to);
    const auto* in = static_cast<const uint8_t*>(from);
    if (out <= in) {
        return memcpy(to, from, size);
    }
    while (size-- > 0) {
        out[size] = in[size];
    }
    return to;
}

void* memset(void* to, int value, size_t size) {
    auto* out = static_cast<uint8_t*>(to);
    const uint64_t pattern = uint64_t{0x0101010101010101} * static_cast<uint8_t>(value);
    if ((reinterpret_cast<uintptr_t>(out) & 7) == 0) {
        for (; size >= 8; size -= 8, out += 8) {
            *reinterpret_cast<uint64_t*>(out) = pattern;
        }
    }
    for (size_t index = 0; index < size; ++index) {
        out[index] = static_cast<uint8_t>(value);
    }
    return to;
}

int memcmp(const void* one, const void* other, size_t size) {
    const auto* a = static_cast<const uint8_t*>(one);
    const auto* b = static_cast<const uint8_t*>(other);
    for (size_t index = 0; index < size; ++index) {
        if (a[index] != b[index]) {
            return a[index] < b[index] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char* text) {
    size_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    return length;
}
}
