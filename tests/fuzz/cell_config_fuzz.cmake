# SPDX-License-Identifier: Apache-2.0
add_fuzzer(cell_config_fuzz
    SOURCES hil/lib/cell_board.cpp hil/lib/cell_check.cpp hil/lib/cell_config.cpp hil/lib/cell_devices.cpp hil/lib/cell_file.cpp
            hil/lib/cell_names.cpp hil/lib/cell_rules_devices.cpp hil/lib/cell_rules_memory.cpp
            hil/lib/cell_rules_platform.cpp hil/lib/cell_rules_shmem.cpp hil/lib/cell_yaml_map.cpp
            hil/lib/cell_yaml_reader.cpp hil/lib/cell_yaml_writer.cpp
    LIBRARIES yaml-cpp fdt
    SEEDS targets/qemu/cells targets/bananapi/cells)
