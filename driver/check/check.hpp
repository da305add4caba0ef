// SPDX-License-Identifier: Apache-2.0
// One line a check: "ok NAME" or "FAIL NAME: what was expected, what was found".
#pragma once

#include <string>

class Checks {
  public:
    // A call that must fail with this errno; `result` is the call's, errno still untouched.
    void refused(const std::string& name, long result, int expected);
    // A call that must succeed.
    bool allowed(const std::string& name, long result);
    void equal(const std::string& name, unsigned long long found, unsigned long long expected);

    // The exit code: 0 when there was at least one check and all were right.
    int finish() const;

  private:
    void report(bool right, const std::string& name, const std::string& reason);
    unsigned count_ = 0;
    unsigned wrong_ = 0;
};

// device_checks.cpp: /dev/jailhouse. `enabled`: which state the hypervisor is in; it is left in the same.
void check_device(Checks& checks, bool enabled, const char* system_config, const char* cell_config);

// uio_checks.cpp: one device of uio_ivshmem.
void check_uio(Checks& checks, const char* device);

// words.cpp: prints 32-bit words of physical memory, a line each; what devmem does once a process. 0, or 1 when one
// cannot be read.
int print_words(const char* address, const char* stride, const char* count);
// The same for a register of each of these UIO devices (up to a null), or a write to it when `value` is not "-".
int use_registers(const char* offset, const char* value, char* const* devices);
