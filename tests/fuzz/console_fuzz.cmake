# SPDX-License-Identifier: Apache-2.0
add_fuzzer(console_fuzz
    SOURCES
        hil/lib/agent_remains.cpp
        hil/lib/console_text.cpp
        hil/lib/lifecycle.cpp
        hil/lib/line_assembler.cpp
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
    SEEDS tests/fuzz/corpus/console
    UNTRACED hil/lib/trap_align.cpp)
