// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace hil::bench {

/// Ascending, in place, without recursion and without a bad case: heap sort, n log n comparisons.
template <class Value> constexpr void sort(std::span<Value> values) {
    const auto sift_down = [&](std::size_t root, std::size_t size) {
        const Value moving = values[root];
        for (std::size_t child = 2 * root + 1; child < size; child = 2 * root + 1) {
            if (child + 1 < size && values[child] < values[child + 1]) {
                ++child;
            }
            if (!(moving < values[child])) {
                break;
            }
            values[root] = values[child];
            root = child;
        }
        values[root] = moving;
    };
    const std::size_t size = values.size();
    for (std::size_t root = size / 2; root-- > 0;) {
        sift_down(root, size);
    }
    for (std::size_t end = size; end > 1;) {
        --end;
        const Value largest = values[0];
        values[0] = values[end];
        values[end] = largest;
        sift_down(0, end);
    }
}

} // namespace hil::bench
