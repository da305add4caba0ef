// SPDX-License-Identifier: Apache-2.0
// The cell's console, as the communication region describes it: PL011, 8250 or the hypervisor's own.
#pragma once

#include "abi/comm_region.h"

namespace inmate {

/// Maps the UART and prepares it if nobody did. Without a usable UART the hypervisor's console serves if the cell may
/// use it; without either, output is dropped.
void console_open(const jh_comm_generic& region);

/// One byte as it is, waiting for room.
void console_write(char byte);

} // namespace inmate
