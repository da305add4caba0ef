# SPDX-License-Identifier: Apache-2.0
add_fuzzer(answer_fuzz SOURCES hil/lib/agent_remains.cpp hil/lib/answer_stream.cpp SEEDS tests/fuzz/corpus/answer)
