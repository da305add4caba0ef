# SPDX-License-Identifier: Apache-2.0
file(GLOB gaol_core RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/hypervisor/core/*.cpp)
add_fuzzer(gaol_enable_fuzz
    SOURCES ${gaol_core} hypervisor/arch/arm64/page_table.cpp hypervisor/host/fake_machine.cpp)
