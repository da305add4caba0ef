// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/console.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

void Console::put(char character) {
    if (ring_ != nullptr) {
        ring_->ring[ring_->written % GAOL_CONSOLE_RING_SIZE] = character;
        ring_->written = ring_->written + 1;
    }
    if (character == '\n') {
        uart_.put('\r');
    }
    uart_.put(character);
}

void Console::acquire(uint32_t owner) {
    if (owner_.load(std::memory_order_relaxed) != owner) {
        lock_.lock();
        owner_.store(owner, std::memory_order_relaxed);
    }
    ++depth_;
}

void Console::release() {
    if (--depth_ == 0) {
        owner_.store(no_owner, std::memory_order_relaxed);
        lock_.unlock();
    }
}

ConsoleOut::ConsoleOut() : Text(hypervisor().console) {
    hypervisor().console.acquire(arch::this_cpu_id());
}

void ConsoleOut::finish() {
    if (held_) {
        held_ = false;
        hypervisor().console.release();
    }
}

} // namespace gaol
