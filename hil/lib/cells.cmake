# SPDX-License-Identifier: Apache-2.0
# Cell configs: model, YAML, checks, and hil-cellc, which compiles and checks the targets' cells at build time.
find_package(yaml-cpp REQUIRED)
add_library(hil_cells STATIC
    cell_config.cpp
    cell_devices.cpp
    cell_file.cpp
    cell_names.cpp
    cell_yaml_map.cpp
    cell_yaml_reader.cpp
    cell_yaml_writer.cpp)
target_link_libraries(hil_cells PRIVATE hil_options PUBLIC yaml-cpp)

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
