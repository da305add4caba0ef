# SPDX-License-Identifier: Apache-2.0
# Cell configs: model, YAML, checks, and hil-cellc, which compiles and checks the targets' cells at build time.
find_package(yaml-cpp REQUIRED)
add_library(hil_cells STATIC
    cell_board.cpp
    cell_check.cpp
    cell_config.cpp
    cell_devices.cpp
    cell_file.cpp
    cell_names.cpp
    cell_rules_devices.cpp
    cell_rules_memory.cpp
    cell_rules_platform.cpp
    cell_rules_shmem.cpp
    cell_yaml_map.cpp
    cell_yaml_reader.cpp
    cell_yaml_writer.cpp)
target_link_libraries(hil_cells PRIVATE hil_options PUBLIC yaml-cpp fdt)

add_executable(hil-cellc cell_compiler.cpp)
target_link_libraries(hil-cellc PRIVATE hil_cells hil_options)

# targets/<target>/cells/*.yaml -> build/cells/<target>/*.cell: beside the host build, where the runner looks.
get_filename_component(cells_root ${CMAKE_BINARY_DIR}/../cells ABSOLUTE)
set(HIL_CELLS_DIR ${cells_root} CACHE PATH "Where the compiled cell configs go")
file(GLOB cell_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/targets/*/cells/*.yaml)
set(cell_outputs)
foreach(source ${cell_sources})
    get_filename_component(name ${source} NAME_WE)
    get_filename_component(target ${source}/../.. ABSOLUTE)
    get_filename_component(target ${target} NAME)
    set(output ${HIL_CELLS_DIR}/${target}/${name}.cell)
    add_custom_command(
        OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${HIL_CELLS_DIR}/${target}
        COMMAND hil-cellc compile ${source} ${output}
        DEPENDS hil-cellc ${source} ${CMAKE_SOURCE_DIR}/targets/${target}/devices.yaml
        COMMENT "Compiling cell config ${target}/${name}")
    list(APPEND cell_outputs ${output})
endforeach()
add_custom_target(hil_cell_files ALL DEPENDS ${cell_outputs})

# Each line of targets/<target>/cell-sets.txt names configs that exist together; a finding fails the build.
file(GLOB cell_sets CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/targets/*/cell-sets.txt)
set(cell_checks)
foreach(set_file ${cell_sets})
    get_filename_component(directory ${set_file} DIRECTORY)
    get_filename_component(target ${directory} NAME)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${set_file})
    file(STRINGS ${set_file} lines REGEX "^[^#]")
    foreach(line ${lines})
        separate_arguments(names UNIX_COMMAND "${line}")
        list(TRANSFORM names REPLACE "(.+)" "${directory}/cells/\\1.yaml" OUTPUT_VARIABLE paths)
        list(JOIN names "+" joined)
        set(stamp ${CMAKE_CURRENT_BINARY_DIR}/cell-checks/${target}-${joined}.checked)
        add_custom_command(
            OUTPUT ${stamp}
            COMMAND hil-cellc check ${paths}
            COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
            DEPENDS hil-cellc ${paths} ${directory}/devices.yaml
            COMMENT "Checking cell configs ${target}: ${line}")
        list(APPEND cell_checks ${stamp})
    endforeach()
endforeach()
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/cell-checks)
add_custom_target(hil_cell_checks ALL DEPENDS ${cell_checks})

foreach(test cell_config cell_yaml cell_check cell_boards)
    add_executable(${test}_test ${CMAKE_SOURCE_DIR}/tests/unit/${test}_test.cpp)
    target_link_libraries(${test}_test PRIVATE hil_cells hil_options GTest::gtest_main)
    target_compile_definitions(${test}_test PRIVATE HIL_TARGETS="${CMAKE_SOURCE_DIR}/targets")
    gtest_discover_tests(${test}_test DISCOVERY_TIMEOUT 120)
endforeach()
