# SPDX-License-Identifier: Apache-2.0
# The trap decoder: console bytes and mails -> events, and what they mean.
add_library(hil_traps STATIC
    trap_align.cpp
    trap_assembly.cpp
    trap_decoder.cpp
    trap_event.cpp
    trap_grammar.cpp
    trap_json.cpp
    trap_prefilter.cpp
    trap_recovery.cpp
    trap_region.cpp
    trap_syndrome.cpp
    trap_text.cpp)
target_link_libraries(hil_traps PUBLIC hil_options)
