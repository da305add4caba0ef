// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/comm_region.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/cell.hpp"
#include "hypervisor/core/hypervisor.hpp"

#include <cstring>

namespace gaol {

namespace {

// A cell may run with its caches off: what it wrote is in memory, what we wrote must get there.
void synchronise(const Cell& cell) {
    arch::clean_invalidate_object(cell.comm, sizeof(*cell.comm));
}

bool running(jh_cell_state state) {
    return state == JH_CELL_RUNNING || state == JH_CELL_RUNNING_LOCKED;
}

uint32_t console_flags(const Cell& cell) {
    const uint32_t flags = cell.config.descriptor().flags;
    return ((flags & JH_CELL_VIRTUAL_CONSOLE_PERMITTED) != 0 ? JH_COMM_FLAG_PUTC_PERMITTED : 0) |
           ((flags & JH_CELL_VIRTUAL_CONSOLE_ACTIVE) != 0 ? JH_COMM_FLAG_PUTC_ACTIVE : 0);
}

} // namespace

void comm_prepare(Cell& cell) {
    const jh_platform& platform = hypervisor().platform();
    jh_comm_arm& comm = *cell.comm;
    std::memset(&comm, 0, page_size);
    std::memcpy(comm.generic.signature, JH_COMM_SIGNATURE, JH_COMM_SIGNATURE_SIZE);
    comm.generic.revision = JH_COMM_REVISION;
    comm.generic.cell_state = JH_CELL_RUNNING;
    comm.generic.flags = console_flags(cell);
    comm.generic.console = cell.config.descriptor().console;
    comm.generic.pci_mmconfig_base = platform.pci_mmconfig_base;
    comm.gic_version = platform.arm.gic_version;
    comm.gicd_base = platform.arm.gicd_base;
    comm.gicc_base = platform.arm.gicc_base;
    comm.gicr_base = platform.arm.gicr_base;
    comm.vpci_irq_base = cell.config.descriptor().vpci_irq_base;
    arch::clean_invalidate_object(&comm, page_size);
}

jh_cell_state comm_state(const Cell& cell) {
    synchronise(cell);
    const uint32_t state = cell.comm->generic.cell_state;
    return state <= JH_CELL_FAILED_COMM_REV ? static_cast<jh_cell_state>(state) : JH_CELL_FAILED;
}

void comm_set_state(Cell& cell, jh_cell_state state) {
    cell.comm->generic.cell_state = state;
    synchronise(cell);
}

Answer comm_ask(Question& question, Cell& cell, jh_message message, jh_reply wanted) {
    const jh_cell& config = cell.config.descriptor();
    jh_comm_generic& comm = cell.comm->generic;
    if (question.cell != &cell) {
        if ((config.flags & JH_CELL_PASSIVE_COMMREG) != 0 || !running(comm_state(cell))) {
            return Answer::yes;
        }
        question = {&cell, arch::microseconds()};
        comm.reply_from_cell = JH_REPLY_NONE;
        comm.msg_to_cell = message;
        synchronise(cell);
    }
    Answer answer = Answer::pending;
    if (!running(comm_state(cell))) {
        answer = Answer::yes;
    } else if (const uint32_t reply = comm.reply_from_cell; reply != JH_REPLY_NONE) {
        answer = reply == static_cast<uint32_t>(wanted) ? Answer::yes : Answer::no;
    } else if (config.msg_reply_timeout != 0 && arch::microseconds() - question.asked_at >= config.msg_reply_timeout) {
        ConsoleOut() << "Timeout expired while waiting for reply from target cell\n";
        answer = Answer::no;
    }
    if (answer != Answer::pending) {
        question = {};
        comm.msg_to_cell = JH_MSG_NONE;
        synchronise(cell);
    }
    return answer;
}

} // namespace gaol
