# SPDX-License-Identifier: Apache-2.0
add_fuzzer(frame_fuzz SEEDS tests/fuzz/corpus/frame)
