# SPDX-License-Identifier: Apache-2.0
add_fuzzer(rfc2217_fuzz SOURCES hil/lib/stream_rfc2217.cpp)
