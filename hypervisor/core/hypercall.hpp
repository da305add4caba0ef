// SPDX-License-Identifier: Apache-2.0
// Hypercalls 1 to 8 (abi/hypercall.h). 0, disable, ends in the architecture: see check_disable().
#pragma once

#include <cstdint>

namespace gaol {

struct Cpu;

/// Result for the caller: 0 or more, or a negative errno. -EAGAIN: see management.hpp.
int64_t hypercall(Cpu& cpu, uint64_t number, uint64_t first, uint64_t second);

} // namespace gaol
