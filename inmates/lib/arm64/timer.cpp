// SPDX-License-Identifier: Apache-2.0
#include "inmates/lib/arm64/timer.hpp"

#include "inmates/lib/arm64/gic.hpp"
#include "inmates/lib/arm64/sysreg.hpp"

namespace inmate {
namespace {

constexpr std::uint64_t control_enable = 1;

TimerHandler user_handler;
void* user_context;

void timer_interrupt(void*, Ticks stamp) {
    SYSREG_WRITE(cntv_ctl_el0, 0); // level triggered: quiet before the end of the interrupt
    instruction_barrier();
    if (user_handler) {
        user_handler(user_context, stamp);
    }
}

} // namespace

std::uint64_t timer_frequency() {
    return hil::bench::SharedCounter::info().hz;
}

Ticks microseconds(std::uint64_t count) {
    return count * timer_frequency() / 1'000'000;
}

bool timer_open(TimerHandler expired, void* context) {
    SYSREG_WRITE(cntv_ctl_el0, 0);
    user_handler = expired;
    user_context = context;
    return interrupt_enable(virtual_timer_interrupt, timer_interrupt, nullptr);
}

void timer_arm(Ticks deadline) {
    SYSREG_WRITE(cntv_cval_el0, deadline);
    SYSREG_WRITE(cntv_ctl_el0, control_enable);
    instruction_barrier();
}

void timer_stop() {
    SYSREG_WRITE(cntv_ctl_el0, 0);
    instruction_barrier();
}

void sleep_until(Ticks deadline) {
    mask_interrupts(); // what arrives from here on is pending and ends the sleep
    if (hil::bench::SharedCounter::now() < deadline) {
        timer_arm(deadline);
        wait_for_interrupt();
    }
    unmask_interrupts();
}

} // namespace inmate
