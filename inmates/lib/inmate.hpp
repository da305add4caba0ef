// SPDX-License-Identifier: Apache-2.0
// What an inmate is made of: include this and define inmate_main.
#pragma once

#include "inmates/lib/arm64/gic.hpp"
#include "inmates/lib/arm64/mmu.hpp"
#include "inmates/lib/arm64/sysreg.hpp"
#include "inmates/lib/arm64/timer.hpp"
#include "inmates/lib/comm_region.hpp"
#include "inmates/lib/command_line.hpp"
#include "inmates/lib/print.hpp"

/// The inmate. MMU, caches, console and interrupt controller are on, interrupts are unmasked, the cell's state is
/// `running`. Returning ends the cell: true leaves it `shut down`, false `failed`.
bool inmate_main();
