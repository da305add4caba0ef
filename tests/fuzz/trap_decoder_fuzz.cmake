# SPDX-License-Identifier: Apache-2.0
add_fuzzer(trap_decoder_fuzz
    SOURCES
        ${trap_sources}
    SEEDS tests/fuzz/corpus/trap
    UNTRACED hil/lib/trap_align.cpp)
