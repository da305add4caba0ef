# SPDX-License-Identifier: Apache-2.0
add_fuzzer(trap_decoder_fuzz
    SOURCES
        hil/lib/trap_align.cpp
        hil/lib/trap_assembly.cpp
        hil/lib/trap_decoder.cpp
        hil/lib/trap_event.cpp
        hil/lib/trap_grammar.cpp
        hil/lib/trap_json.cpp
        hil/lib/trap_prefilter.cpp
        hil/lib/trap_recovery.cpp
        hil/lib/trap_region.cpp
        hil/lib/trap_syndrome.cpp
        hil/lib/trap_text.cpp
    SEEDS tests/fuzz/corpus/trap
    UNTRACED hil/lib/trap_align.cpp)
