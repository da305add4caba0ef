// SPDX-License-Identifier: Apache-2.0
// /dev/jailhouse and the directory of its state.
#pragma once

#include "file.hpp"

#include <string>

inline constexpr const char* device_path = "/dev/jailhouse";
inline constexpr const char* sysfs_path = "/sys/devices/jailhouse";

// Opens the device; an invalid descriptor with "opening /dev/jailhouse: reason" on stderr.
Descriptor open_device();

// One ioctl. 0, or 1 with "LABEL: reason" on stderr: the label is the ioctl's name, as users and their scripts know it.
int call_device(unsigned long request, const void* argument, const char* label);
