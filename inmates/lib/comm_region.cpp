// SPDX-License-Identifier: Apache-2.0
#include "inmates/lib/comm_region.hpp"

#include "inmates/lib/command_line.hpp"

#include "bench/core/barrier.hpp"

#include <string_view>

namespace inmate {

bool comm_region_valid() {
    const jh_comm_generic& region = comm_region().generic;
    return std::string_view(region.signature, JH_COMM_SIGNATURE_SIZE) == JH_COMM_SIGNATURE &&
           region.revision == JH_COMM_REVISION;
}

void set_cell_state(jh_cell_state state) {
    hil::bench::publish_barrier();
    comm_region().generic.cell_state = state;
    hil::bench::publish_barrier();
}

bool shutdown_requested() {
    jh_comm_generic& region = comm_region().generic;
    const std::uint32_t message = region.msg_to_cell;
    if (message == JH_MSG_NONE) {
        return false;
    }
    jh_reply reply = JH_REPLY_UNKNOWN;
    if (message == JH_MSG_SHUTDOWN_REQUEST) {
        reply = command_line_text("shutdown", "allow") == "deny" ? JH_REPLY_REQUEST_DENIED : JH_REPLY_REQUEST_APPROVED;
    } else if (message == JH_MSG_RECONFIG_COMPLETED) {
        reply = JH_REPLY_RECEIVED;
    }
    region.msg_to_cell = JH_MSG_NONE; // before the reply: after it the next message may come at any time
    hil::bench::publish_barrier();
    region.reply_from_cell = reply;
    return reply == JH_REPLY_REQUEST_APPROVED;
}

} // namespace inmate
