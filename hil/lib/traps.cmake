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

find_package(benchmark REQUIRED)
add_executable(trap_bench ${CMAKE_SOURCE_DIR}/bench/host/trap_bench.cpp)
target_link_libraries(trap_bench PRIVATE hil_traps hil_options benchmark::benchmark)

add_executable(trap_test
    ${CMAKE_SOURCE_DIR}/tests/unit/trap_decoder_test.cpp
    ${CMAKE_SOURCE_DIR}/tests/unit/trap_property_test.cpp
    ${CMAKE_SOURCE_DIR}/tests/unit/trap_syndrome_test.cpp)
target_link_libraries(trap_test PRIVATE hil_traps hil_options GTest::gtest_main)
gtest_discover_tests(trap_test DISCOVERY_TIMEOUT 120)
