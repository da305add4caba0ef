// SPDX-License-Identifier: Apache-2.0
// What /dev/jailhouse must refuse: configs that are damaged field by field, pointers into nowhere, images that do not
// fit.
#include "check.hpp"

#include <sys/ioctl.h>

#include "abi/ioctl.h"

#include <bit>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include "abi/cell_config.h"

namespace {

using Bytes = std::vector<char>;

Bytes read_file(const char* path) {
    Bytes bytes(65536);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? -1 : read(fd, bytes.data(), bytes.size());
    if (fd >= 0) {
        close(fd);
    }
    bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return bytes;
}

template <typename Value> Bytes with(const Bytes& config, std::size_t offset, Value value) {
    Bytes changed(config);
    if (changed.size() >= offset + sizeof(value)) {
        std::memcpy(changed.data() + offset, &value, sizeof(value));
    }
    return changed;
}

class Device {
  public:
    Device() : fd_(open("/dev/jailhouse", O_RDWR | O_CLOEXEC)) {}
    ~Device() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    int fd() const { return fd_; }
    int enable(const Bytes& config) const { return ioctl(fd_, JH_IOC_ENABLE, config.data()); }
    int create(const Bytes& config, std::size_t size) const {
        const jh_cell_create argument{std::bit_cast<std::uint64_t>(config.data()), static_cast<std::uint32_t>(size), 0};
        return ioctl(fd_, JH_IOC_CELL_CREATE, &argument);
    }
    int create(const Bytes& config) const { return create(config, config.size()); }

  private:
    int fd_;
};

jh_cell_id by_id(int id) {
    jh_cell_id cell{};
    cell.id = id;
    return cell;
}

// The argument of JH_IOC_CELL_LOAD with one image behind it, as the ABI lays it out.
struct Load {
    jh_cell_id cell_id;
    std::uint32_t num_preload_images;
    std::uint32_t padding;
    jh_preload_image image;
};
static_assert(offsetof(Load, image) == sizeof(jh_cell_load));

int load(const Device& device, int cell, std::uint64_t source, std::uint64_t size, std::uint64_t target) {
    Load argument{};
    argument.cell_id = by_id(cell);
    argument.num_preload_images = 1;
    argument.image = {source, size, target, 0};
    return ioctl(device.fd(), JH_IOC_CELL_LOAD, &argument);
}

constexpr std::size_t root = offsetof(jh_system, root_cell);
const auto nowhere = reinterpret_cast<void*>(0x10);

void check_always(Checks& checks, const Device& device) {
    checks.refused("unknown ioctl", ioctl(device.fd(), _IO(0, 6)), EINVAL);
    checks.refused("create: argument nowhere", ioctl(device.fd(), JH_IOC_CELL_CREATE, nowhere), EFAULT);
    checks.refused("start: argument nowhere", ioctl(device.fd(), JH_IOC_CELL_START, nowhere), EFAULT);
    checks.refused("load: argument nowhere", ioctl(device.fd(), JH_IOC_CELL_LOAD, nowhere), EFAULT);
    checks.refused("destroy: argument nowhere", ioctl(device.fd(), JH_IOC_CELL_DESTROY, nowhere), EFAULT);
}

void check_disabled(Checks& checks, const Device& device, const Bytes& system, const Bytes& cell) {
    checks.refused("disable before enable", ioctl(device.fd(), JH_IOC_DISABLE), EINVAL);
    checks.refused("create before enable", device.create(cell), EINVAL);
    checks.refused("enable: config nowhere", ioctl(device.fd(), JH_IOC_ENABLE, nowhere), EFAULT);
    checks.refused("enable: signature", device.enable(with(system, 0, 'X')), EINVAL);
    checks.refused("enable: a cell's config", device.enable(with(cell, cell.size(), 0)), EINVAL);
    const std::size_t architecture = offsetof(jh_system, architecture);
    checks.refused("enable: architecture", device.enable(with(system, architecture, char{1})), EINVAL);
    checks.refused("enable: revision", device.enable(with(system, offsetof(jh_system, revision), short{13})), EINVAL);
    const std::size_t memory = offsetof(jh_system, hypervisor_memory);
    const std::size_t size = memory + offsetof(jh_memory, size);
    checks.refused("enable: no memory", device.enable(with(system, size, std::uint64_t{0})), EINVAL);
    checks.refused("enable: unaligned memory", device.enable(with(system, size, std::uint64_t{0x1234})), EINVAL);
    checks.refused("enable: memory wraps", device.enable(with(system, size, ~std::uint64_t{0xfff})), EINVAL);
    checks.refused("enable: too little memory", device.enable(with(system, size, std::uint64_t{0x1000})), ENOMEM);
    checks.refused("enable: Linux's RAM", device.enable(with(system, memory, std::uint64_t{0x50000000})), EBUSY);
    checks.refused("enable: too many regions",
                   device.enable(with(system, root + offsetof(jh_cell, num_memory_regions), ~std::uint32_t{0})), E2BIG);
    checks.refused("enable: one CPU only", device.enable(with(system, sizeof(jh_system), char{1})), EINVAL);
    checks.refused("enable: CPU 7", device.enable(with(system, sizeof(jh_system), std::uint8_t{0xff})), EINVAL);
}

void check_configs(Checks& checks, const Device& device, const Bytes& cell) {
    checks.refused(
        "create: config nowhere",
        [&] {
            const jh_cell_create argument{0x10, 4096, 0};
            return ioctl(device.fd(), JH_IOC_CELL_CREATE, &argument);
        }(),
        EFAULT);
    checks.refused("create: empty", device.create(cell, 0), EINVAL);
    for (std::size_t size : {std::size_t{1}, sizeof(jh_cell) - 1, sizeof(jh_cell), cell.size() - 1}) {
        checks.refused("create: " + std::to_string(size) + " bytes", device.create(cell, size), EINVAL);
    }
    checks.refused("create: signature", device.create(with(cell, 0, 'X')), EINVAL);
    checks.refused("create: architecture", device.create(with(cell, offsetof(jh_cell, architecture), char{0})), EINVAL);
    checks.refused("create: revision", device.create(with(cell, offsetof(jh_cell, revision), short{15})), EINVAL);
    checks.refused("create: no name", device.create(with(cell, offsetof(jh_cell, name), char{0})), EINVAL);
    Bytes endless(cell);
    std::memset(endless.data() + offsetof(jh_cell, name), 'x', JH_CELL_NAME_SIZE);
    checks.refused("create: name without NUL", device.create(endless), EINVAL);
    checks.refused("create: counts beyond the end",
                   device.create(with(cell, offsetof(jh_cell, num_pci_caps), ~std::uint32_t{0})), EINVAL);
    checks.refused("create: no CPU", device.create(with(cell, sizeof(jh_cell), std::uint64_t{0})), EINVAL);
    checks.refused("create: all CPUs", device.create(with(cell, sizeof(jh_cell), std::uint64_t{0xf})), EINVAL);
    checks.refused("create: absent CPU", device.create(with(cell, sizeof(jh_cell), std::uint64_t{0x40})), EBUSY);
}

void check_cell(Checks& checks, const Device& device, const Bytes& cell) {
    if (!checks.allowed("create", device.create(cell))) {
        return;
    }
    char image[64] = {};
    const auto source = std::bit_cast<std::uint64_t>(&image[0]);
    checks.refused("create twice", device.create(cell), EEXIST);
    checks.refused("create: taken CPU", device.create(with(cell, offsetof(jh_cell, name), 'Z')), EBUSY);
    checks.refused("load: image nowhere", load(device, 1, 0x10, 64, 0), EFAULT);
    checks.refused("load: beyond the end", load(device, 1, source, 64, 0xffffffe0), EINVAL);
    checks.refused("load: address wraps", load(device, 1, source, ~std::uint64_t{0}, 0x1000), EINVAL);
    checks.refused("load: end wraps", load(device, 1, source, 64, ~std::uint64_t{0} - 15), EINVAL);
    checks.refused("load: larger than the region", load(device, 1, source, std::uint64_t{1} << 40, 0), EINVAL);
    checks.allowed("load: nothing", load(device, 1, 0x10, 0, 0));
    checks.allowed("load", load(device, 1, source, 64, 0));
    Load many{};
    many.cell_id = by_id(1);
    many.num_preload_images = UINT32_MAX;
    checks.refused("load: too many images", ioctl(device.fd(), JH_IOC_CELL_LOAD, &many), E2BIG);
    const jh_cell_id cell_id = by_id(1);
    checks.allowed("destroy", ioctl(device.fd(), JH_IOC_CELL_DESTROY, &cell_id));
    checks.refused("destroy again", ioctl(device.fd(), JH_IOC_CELL_DESTROY, &cell_id), ENOENT);
}

void check_names(Checks& checks, const Device& device) {
    for (int id : {0, 7, INT_MAX, INT_MIN}) {
        const jh_cell_id cell = by_id(id);
        const int expected = id == 0 ? EINVAL : ENOENT;
        checks.refused("start cell " + std::to_string(id), ioctl(device.fd(), JH_IOC_CELL_START, &cell), expected);
        checks.refused("destroy cell " + std::to_string(id), ioctl(device.fd(), JH_IOC_CELL_DESTROY, &cell), expected);
        checks.refused("load cell " + std::to_string(id), load(device, id, 0, 0, 0), expected);
    }
    jh_cell_id endless = by_id(JH_CELL_ID_UNUSED);
    std::memset(endless.name, 'x', sizeof(endless.name));
    checks.refused("start: name without NUL", ioctl(device.fd(), JH_IOC_CELL_START, &endless), ENOENT);
}

} // namespace

void check_device(Checks& checks, bool enabled, const char* system_config, const char* cell_config) {
    const Bytes system = read_file(system_config);
    const Bytes cell = read_file(cell_config);
    const Device device;
    if (!checks.allowed("open /dev/jailhouse", device.fd())) {
        return;
    }
    checks.equal("configs are there", system.size() > sizeof(jh_system) && cell.size() > sizeof(jh_cell), true);
    check_always(checks, device);
    if (!enabled) {
        check_disabled(checks, device, system, cell);
        return;
    }
    checks.refused("enable twice", device.enable(system), EBUSY);
    check_configs(checks, device, cell);
    check_names(checks, device);
    check_cell(checks, device, cell);
}
