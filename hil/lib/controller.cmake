# SPDX-License-Identifier: Apache-2.0
# Streams, chaos, console, agent's client.
find_package(Threads REQUIRED)
find_library(serialport_library serialport REQUIRED)
add_library(hil_controller STATIC
    agent_client.cpp
    agent_remains.cpp
    answer_stream.cpp
    chaos.cpp
    chaos_proxy.cpp
    console.cpp
    console_log.cpp
    console_text.cpp
    lifecycle.cpp
    line_assembler.cpp
    line_quality.cpp
    stream_descriptor.cpp
    stream_name.cpp
    stream_rfc2217.cpp
    stream_serial.cpp
    stream_socket.cpp
    stream_source.cpp)
target_link_libraries(hil_controller PUBLIC hil_options hil_traps Threads::Threads ${serialport_library} util z)

# The agent for the host: the tests talk to the real program.
add_subdirectory(${CMAKE_SOURCE_DIR}/driver/agent ${CMAKE_BINARY_DIR}/driver/agent)
foreach(area frame packing lifecycle stream console answer_stream line_quality agent)
    add_executable(${area}_test ${CMAKE_SOURCE_DIR}/tests/unit/${area}_test.cpp)
    target_link_libraries(${area}_test PRIVATE hil_controller GTest::gtest_main util)
    gtest_discover_tests(${area}_test PROPERTIES TIMEOUT 180 DISCOVERY_TIMEOUT 120)
endforeach()
target_compile_definitions(agent_test PRIVATE HIL_AGENT_PATH="$<TARGET_FILE:hil-agent>")
add_dependencies(agent_test hil-agent)
# The agent's own parts, where a test brings the clock.
set(agent_sources ${CMAKE_SOURCE_DIR}/driver/agent)
add_executable(job_test ${CMAKE_SOURCE_DIR}/tests/unit/job_test.cpp
    ${agent_sources}/job.cpp ${agent_sources}/child.cpp ${agent_sources}/file.cpp)
target_link_libraries(job_test PRIVATE hil_options GTest::gtest_main z)
gtest_discover_tests(job_test PROPERTIES TIMEOUT 60 DISCOVERY_TIMEOUT 120)
