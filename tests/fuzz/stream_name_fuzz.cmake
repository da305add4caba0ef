# SPDX-License-Identifier: Apache-2.0
add_fuzzer(stream_name_fuzz SOURCES hil/lib/stream_name.cpp SEEDS tests/fuzz/corpus/stream_name)
