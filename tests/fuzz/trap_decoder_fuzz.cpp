// SPDX-License-Identifier: Apache-2.0
// libFuzzer harness of the trap decoder: any bytes, in chunks whose sizes the input chooses. Besides the sanitizers'
// findings it checks what must hold for any input: chunks do not matter, spans lie in the input, JSON can be written.
#include "hil/lib/trap_decoder.hpp"
#include "hil/lib/trap_json.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto whole = hil::decode_traps(text);
    hil::TrapDecoder decoder;
    const std::size_t step = size == 0 ? 1 : 1 + data[0];
    for (std::size_t at = 0; at < size; at += step) {
        decoder.feed(text.substr(at, step));
    }
    decoder.finish();
    const auto parts = decoder.take();
    if (parts.size() != whole.size()) {
        std::abort();
    }
    std::uint64_t lines = 1;
    for (char c : text) {
        lines += c == '\n' ? 1 : 0;
    }
    for (std::size_t i = 0; i < whole.size(); ++i) {
        const auto& event = whole[i];
        if (event.first_line < 1 || event.first_line > event.last_line || event.last_line > lines ||
            event.text.size() > 8192 || event.address != parts[i].address || event.cell != parts[i].cell ||
            event.pc != parts[i].pc) {
            std::abort();
        }
        static_cast<void>(hil::trap_json(event).dump());
        static_cast<void>(hil::missing_from(event));
    }
    return 0;
}
