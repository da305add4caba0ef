# SPDX-License-Identifier: Apache-2.0
add_fuzzer(console_log_fuzz SOURCES hil/lib/console_log.cpp SEEDS tests/fuzz/corpus/console_log)
