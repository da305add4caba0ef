// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

void Checks::report(bool right, const std::string& name, const std::string& reason) {
    ++count_;
    if (right) {
        std::printf("ok %s\n", name.c_str());
        return;
    }
    ++wrong_;
    std::printf("FAIL %s: %s\n", name.c_str(), reason.c_str());
}

void Checks::refused(const std::string& name, long result, int expected) {
    const int found = errno;
    const std::string wanted = std::string("expected ") + std::strerror(expected) + ", found ";
    report(result < 0 && found == expected, name, wanted + (result < 0 ? std::strerror(found) : "success"));
}

bool Checks::allowed(const std::string& name, long result) {
    const int found = errno;
    report(result >= 0, name, std::string("expected success, found ") + std::strerror(found));
    return result >= 0;
}

void Checks::equal(const std::string& name, unsigned long long found, unsigned long long expected) {
    report(found == expected, name, "expected " + std::to_string(expected) + ", found " + std::to_string(found));
}

int Checks::finish() const {
    std::printf("%u checks, %u wrong\n", count_, wrong_);
    return count_ > 0 && wrong_ == 0 ? 0 : 1;
}
