# SPDX-License-Identifier: Apache-2.0
# What a decoded trap means: device, cause, config lines.
find_library(dw_library dw REQUIRED)
find_library(elf_library elf REQUIRED)
add_library(hil_explain STATIC
    trap_access.cpp
    trap_advice.cpp
    trap_board.cpp
    trap_bus.cpp
    trap_causes.cpp
    trap_context.cpp
    trap_explain.cpp
    trap_reader.cpp
    trap_summary.cpp
    trap_symbols.cpp
    trap_x86.cpp)
target_link_libraries(hil_explain PUBLIC hil_options hil_traps hil_cells ${dw_library} ${elf_library})
