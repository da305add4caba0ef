# SPDX-License-Identifier: Apache-2.0
add_fuzzer(chaos_fuzz SOURCES hil/lib/chaos.cpp SEEDS tests/fuzz/corpus/chaos)
