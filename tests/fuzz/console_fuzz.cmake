# SPDX-License-Identifier: Apache-2.0
add_fuzzer(console_fuzz
    SOURCES
        hil/lib/agent_remains.cpp
        hil/lib/console_text.cpp
        hil/lib/lifecycle.cpp
        hil/lib/line_assembler.cpp
        ${trap_sources}
    SEEDS tests/fuzz/corpus/console
    UNTRACED hil/lib/trap_align.cpp)
