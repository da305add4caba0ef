// SPDX-License-Identifier: Apache-2.0
// A ticket lock: first come, first served, and every turn of its loop yields.
#pragma once

#include "hypervisor/core/arch.hpp"

#include <atomic>
#include <cstdint>

namespace gaol {

class Lock {
  public:
    void lock() {
        const uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
        while (serving_.load(std::memory_order_acquire) != ticket) {
            arch::relax();
        }
    }
    bool try_lock() {
        uint32_t serving = serving_.load(std::memory_order_acquire);
        return next_.compare_exchange_strong(serving, serving + 1, std::memory_order_acquire);
    }
    void unlock() { serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  private:
    std::atomic<uint32_t> next_{0};
    std::atomic<uint32_t> serving_{0};
};

class [[nodiscard]] LockGuard {
  public:
    explicit LockGuard(Lock& lock) : lock_(lock) { lock_.lock(); }
    ~LockGuard() { lock_.unlock(); }
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;

  private:
    Lock& lock_;
};

} // namespace gaol
