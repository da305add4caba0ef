// SPDX-License-Identifier: Apache-2.0
// Memory barriers between cells and the hint of a spin loop. Freestanding.
#pragma once

namespace hil::bench {

/// One turn of a spin loop. Every spin loop calls this: emulators hand the host CPU on at it, and under virtual time a
/// loop without it starves the other CPUs.
inline void relax() {
#if defined(__aarch64__) || defined(__arm__)
    asm volatile("yield" ::: "memory");
#elif defined(__x86_64__)
    asm volatile("pause" ::: "memory");
#else
    asm volatile("" ::: "memory");
#endif
}

/// Everything written before is visible to the other cell before anything that follows: a doorbell, a time stamp.
inline void publish_barrier() {
#if defined(__aarch64__)
    asm volatile("dsb ish" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/// A store before and a load after keep their order: between publishing an index and asking whether to notify.
inline void full_barrier() {
#if defined(__aarch64__)
    asm volatile("dmb ish" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

} // namespace hil::bench
