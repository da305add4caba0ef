// SPDX-License-Identifier: Apache-2.0
// Whole files in and out of memory, as the agent's read_file and write_file need them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace hil::agent {

/// Reads a regular file (sysfs and procfs included) up to `limit` bytes. Returns 0 or an errno; `truncated` is set when
/// there was more. Devices and pipes are refused (EINVAL): reading them could block the agent.
int read_file(const std::string& path, std::size_t limit, std::string& content, bool& truncated);

/// Writes a file. A regular file is replaced in one step (a reader sees the old or the new content); what cannot be
/// replaced (sysfs, devices) is written in place with a single write(). Returns 0 or an errno.
int write_file(const std::string& path, mode_t mode, std::string_view content);

} // namespace hil::agent
