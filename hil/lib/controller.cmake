# SPDX-License-Identifier: Apache-2.0
# Streams, chaos, console, agent's client.
find_package(Threads REQUIRED)
find_library(serialport_library serialport REQUIRED)
add_library(hil_controller STATIC
    agent_client.cpp
    chaos.cpp
    console.cpp
    console_log.cpp
    lifecycle.cpp
    line_assembler.cpp
    stream_descriptor.cpp
    stream_rfc2217.cpp
    stream_serial.cpp
    stream_socket.cpp
    stream_source.cpp)
target_link_libraries(hil_controller PUBLIC hil_options hil_traps Threads::Threads ${serialport_library})
