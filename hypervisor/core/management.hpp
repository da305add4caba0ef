// SPDX-License-Identifier: Apache-2.0
// The operations of the root cell on cells. Each is called on a CPU of the root cell in the hypervisor; each stops only
// the CPUs it must: the root's others and those of the cell it changes.
#pragma once

#include "hypervisor/core/address.hpp"
#include "hypervisor/core/cpu.hpp"

#include <cstdint>

namespace gaol {

struct Cell;

/// Make the root cell out of the (checked) system config. Called once, at enable.
int root_create();

/// Results are 0 or negative errno values, as the hypercalls return them. -EAGAIN: a cell has not answered a message;
/// the same call is to be made again, and goes on where it was. Until then every other call gets -EBUSY.
int cell_create(GuestAddr config);
int cell_start(uint32_t id);
int cell_set_loadable(uint32_t id);
int cell_destroy(uint32_t id);

/// May the hypervisor leave now? 0 or -EBUSY.
int check_disable();

/// The CPU stops: parked after a violation (`failed`), or `off` by its own will. A cell none of whose CPUs runs any
/// more has failed when one of them has: nobody is left who could start the others.
void cpu_stopped(Cpu& cpu, CpuState state);

} // namespace gaol
