# SPDX-License-Identifier: Apache-2.0
add_fuzzer(packing_fuzz LIBRARIES z)
