// SPDX-License-Identifier: Apache-2.0
// cell create, load, start, shutdown, destroy
#include "cell_name.hpp"
#include "command.hpp"
#include "device.hpp"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

constexpr const char* cell_expected = "a cell is expected: its ID or its name of at most 31 characters";

// start, destroy: an ioctl whose only argument is the cell.
int call_for_cell(Words words, unsigned long request, const char* label) {
    const auto cell = parse_cell_name(words);
    if (!cell || cell->words != words.size()) {
        return usage(cell_expected);
    }
    return call_device(request, &cell->id, label);
}

// The argument of JH_IOC_CELL_LOAD: the struct with its array of images.
class LoadRequest {
  public:
    explicit LoadRequest(const jh_cell_id& cell) : bytes_(sizeof(jh_cell_load)) {
        std::memcpy(bytes_.data(), &cell, sizeof(cell));
    }

    // The bytes must live until the call.
    void add(const std::vector<char>& image, std::uint64_t target) {
        const jh_preload_image entry{std::bit_cast<std::uint64_t>(image.data()), image.size(), target, 0};
        const auto* begin = reinterpret_cast<const char*>(&entry);
        bytes_.insert(bytes_.end(), begin, begin + sizeof(entry));
        ++count_;
    }

    int call() {
        std::memcpy(bytes_.data() + offsetof(jh_cell_load, num_preload_images), &count_, sizeof(count_));
        return call_device(JH_IOC_CELL_LOAD, bytes_.data(), "JAILHOUSE_CELL_LOAD");
    }

  private:
    std::vector<char> bytes_;
    std::uint32_t count_ = 0;
};

struct Image {
    std::vector<char> bytes;
    std::uint64_t target = 0;
};

bool is(const char* word, std::string_view brief, std::string_view full) {
    return word == brief || word == full;
}

// { IMAGE | { -s | --string } "TEXT" } [ -a | --address ADDRESS ]; false with the reason on stderr.
bool parse_image(Words& words, Image& image) {
    if (is(words[0], "-s", "--string")) {
        if (words.size() < 2) {
            return usage("a text is expected behind -s"), false;
        }
        image.bytes.assign(words[1], words[1] + std::strlen(words[1]) + 1); // with its NUL: the inmate reads a string
        words = words.subspan(2);
    } else {
        auto bytes = read_file(words[0]);
        if (!bytes) {
            return false;
        }
        image.bytes = std::move(*bytes);
        words = words.subspan(1);
    }
    if (words.empty() || !is(words[0], "-a", "--address")) {
        return true;
    }
    const auto address = words.size() > 1 ? parse_number(words[1]) : std::nullopt;
    if (!address) {
        return usage("an address is expected behind -a"), false;
    }
    image.target = *address;
    words = words.subspan(2);
    return true;
}

} // namespace

int cell_create(Words words) {
    if (words.size() != 1) {
        return usage("cell create takes one cell config");
    }
    const auto config = read_file(words[0]);
    if (!config) {
        return 1;
    }
    const jh_cell_create argument{std::bit_cast<std::uint64_t>(config->data()),
                                  static_cast<std::uint32_t>(config->size()), 0};
    return call_device(JH_IOC_CELL_CREATE, &argument, "JAILHOUSE_CELL_CREATE");
}

int cell_load(Words words) {
    const auto cell = parse_cell_name(words);
    if (!cell) {
        return usage(cell_expected);
    }
    words = words.subspan(cell->words);
    if (words.empty()) {
        return usage("cell load: an image is missing");
    }
    std::vector<Image> images;
    while (!words.empty()) {
        if (!parse_image(words, images.emplace_back())) {
            return 1;
        }
    }
    LoadRequest request(cell->id);
    for (const Image& image : images) {
        request.add(image.bytes, image.target);
    }
    return request.call();
}

int cell_start(Words words) {
    return call_for_cell(words, JH_IOC_CELL_START, "JAILHOUSE_CELL_START");
}

int cell_destroy(Words words) {
    return call_for_cell(words, JH_IOC_CELL_DESTROY, "JAILHOUSE_CELL_DESTROY");
}

// A cell that can be loaded is shut down: a load without images.
int cell_shutdown(Words words) {
    const auto cell = parse_cell_name(words);
    if (!cell || cell->words != words.size()) {
        return usage(cell_expected);
    }
    return LoadRequest(cell->id).call();
}
