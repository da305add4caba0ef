# SPDX-License-Identifier: Apache-2.0
add_fuzzer(line_fuzz SOURCES hil/lib/line_assembler.cpp hil/lib/lifecycle.cpp SEEDS tests/fuzz/corpus/line)
