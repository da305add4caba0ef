# SPDX-License-Identifier: Apache-2.0
# The guests as sub-builds of the host build, one an architecture: their artefacts land in build/<arch>.
include(ExternalProject)
set(HIL_KERNEL_BUILD "" CACHE PATH "Kernel build tree of the arm64 guests' kernel modules (hil.root_image makes it)")

ExternalProject_Add(
    guest_arm64
    SOURCE_DIR ${CMAKE_SOURCE_DIR}
    BINARY_DIR ${CMAKE_SOURCE_DIR}/build/arm64
    CMAKE_GENERATOR Ninja
    CMAKE_ARGS -DHIL_GUEST=arm64 -DCMAKE_TOOLCHAIN_FILE=${CMAKE_SOURCE_DIR}/cmake/arm64.cmake
               -DHIL_KERNEL_BUILD=${HIL_KERNEL_BUILD} -DCMAKE_BUILD_TYPE=RelWithDebInfo
    BUILD_ALWAYS ON
    INSTALL_COMMAND "")
