// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/line_quality.hpp"

#include <algorithm>
#include <cmath>

#include "bench/core/frame.hpp"

namespace hil {

namespace {

// In the high lane; in the plain one c is 5/4, and the best pieces are hardly others.
constexpr double kHead = static_cast<double>(frame::text_size(0, frame::Lane::high)); // h
constexpr double kCost = 7.0 / 6.0;                                                   // c
constexpr double kFewestErrors = 1e-3; // of kMemory: no line is taken for perfect

// The q for which pieces of n bytes are best: where the derivative of the gain's logarithm is 0.
double harmed_for(double piece) {
    return kHead / (kCost * piece * (kHead + kCost * piece));
}

// The n that is best for q: the same equation solved for n.
double piece_for(double harmed) {
    const double a = kCost * kCost * harmed;
    const double b = kCost * harmed * kHead;
    return (std::sqrt(b * b + 4 * a * kHead) - b) / (2 * a);
}

} // namespace

LineQuality::LineQuality(double largest)
    : largest_(largest), characters_(kMemory / 2), errors_(harmed_for(kFirstPiece) * kMemory / 2) {}

void LineQuality::good(std::size_t characters) {
    remember(static_cast<double>(characters), 0);
}

void LineQuality::bad() {
    remember((kHead + kCost * static_cast<double>(piece())) / 2, 1); // half of it was good, so much is likely
}

void LineQuality::forgive(unsigned frames) {
    errors_ = std::max(errors_ - frames, kFewestErrors);
}

void LineQuality::remember(double characters, double errors) {
    characters_ += characters;
    errors_ += errors;
    if (characters_ > kMemory) {
        errors_ = std::max(errors_ * kMemory / characters_, kFewestErrors);
        characters_ = kMemory;
    }
}

std::size_t LineQuality::piece() const {
    return static_cast<std::size_t>(
        std::clamp(piece_for(harmed()), kSmallestPiece, std::max(largest_, kSmallestPiece)));
}

} // namespace hil
