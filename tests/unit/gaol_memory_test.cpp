// SPDX-License-Identifier: Apache-2.0
// gaol: page pool, translation tables, and who may reach which memory.
#include "hypervisor/arch/arm64/page_table.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/host/fake_machine.hpp"

#include <gtest/gtest.h>

#include <random>

namespace gaol::test {
namespace {

constexpr uint64_t nowhere = ~uint64_t{0};

TEST(GaolPagePool, AlignsZeroesAndCounts) {
    FakeMachine machine;
    PagePool& pool = hypervisor().pool;
    const size_t before = pool.used();
    auto* one = static_cast<uint8_t*>(pool.allocate());
    one[0] = 0xff;
    void* pair = pool.allocate(2, 2);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arch::pool_address(pair).value) % (2 * page_size), 0u);
    EXPECT_EQ(pool.used(), before + 3);
    pool.release(one);
    EXPECT_EQ(static_cast<uint8_t*>(pool.allocate())[0], 0);
    EXPECT_EQ(pool.allocate(pool.size()), nullptr);
}

TEST(GaolPagePool, ReleasingTwiceCountsOnce) {
    FakeMachine machine;
    PagePool& pool = hypervisor().pool;
    void* page = pool.allocate();
    const size_t used = pool.used();
    pool.release(page);
    pool.release(page);
    EXPECT_EQ(pool.used(), used - 1);
}

class GaolPageTable : public testing::Test {
  protected:
    static constexpr TableGeometry geometry{1, 40};
    FakeMachine machine;
    PagePool& pool = hypervisor().pool;
    void* root = PageTable::allocate_root(geometry, pool);
    size_t empty = pool.used();
    PageTable table{geometry, pool, root, nullptr, nullptr};
};

TEST_F(GaolPageTable, BlocksWhereTheyFit) {
    ASSERT_EQ(table.map(0x40000000, 0x40000000, 0x40000000, 0), 0);
    EXPECT_EQ(pool.used(), empty); // one entry of the first table
    ASSERT_EQ(table.map(0x200000, 0x70000000, 0x200000, 0), 0);
    EXPECT_EQ(pool.used(), empty + 1);
    EXPECT_EQ(table.find(0x212345).target, 0x70012345u);
    EXPECT_FALSE(table.find(0x1fffff).valid);
}

TEST_F(GaolPageTable, SplitsAndMergesBack) {
    ASSERT_EQ(table.map(0x40000000, 0x40000000, 0x40000000, 0), 0);
    ASSERT_EQ(table.unmap(0x40001000, 0x1000), 0);
    EXPECT_EQ(pool.used(), empty + 2);
    EXPECT_TRUE(table.find(0x40000fff).valid);
    EXPECT_FALSE(table.find(0x40001000).valid);
    EXPECT_TRUE(table.find(0x40002000).valid);
    ASSERT_EQ(table.map(0x40001000, 0x40001000, 0x1000, 0), 0);
    EXPECT_EQ(pool.used(), empty);
}

TEST_F(GaolPageTable, PagesOnlyStaysInPages) {
    ASSERT_EQ(table.map(0, 0, 0x200000, PageTable::attribute_pages_only), 0);
    EXPECT_EQ(pool.used(), empty + 2);
    ASSERT_EQ(table.unmap(0, 0x200000), 0);
    EXPECT_EQ(pool.used(), empty);
}

TEST_F(GaolPageTable, OutOfMemoryIsSaidAndUndone) {
    while (pool.allocate() != nullptr) {
    }
    EXPECT_EQ(table.map(0x1000, 0x1000, 0x1000, 0), -JH_ENOMEM);
    EXPECT_FALSE(table.find(0x1000).valid);
}

// A model (page -> target) against the tables, over random maps and unmaps of a small space.
TEST_F(GaolPageTable, AgreesWithAModel) {
    constexpr uint64_t pages = 2048;
    std::mt19937 random(7);
    std::vector<uint64_t> model(pages, nowhere);
    for (int step = 0; step < 2000; ++step) {
        const uint64_t first = random() % pages;
        const uint64_t count =
            1 + random() % (random() % 4 == 0 ? pages - first : std::min<uint64_t>(8, pages - first));
        const bool map = random() % 2 == 0;
        const uint64_t shift = random() % 3 == 0 ? 0x200000 : 0;
        ASSERT_EQ(map ? table.map(first * page_size, first * page_size + shift, count * page_size, 0)
                      : table.unmap(first * page_size, count * page_size),
                  0);
        for (uint64_t page = first; page < first + count; ++page) {
            model[page] = map ? page * page_size + shift : nowhere;
        }
        for (uint64_t page = 0; page < pages; ++page) {
            const auto leaf = table.find(page * page_size);
            ASSERT_EQ(leaf.valid ? leaf.target : nowhere, model[page]) << "page " << page << " at step " << step;
        }
    }
    ASSERT_EQ(table.unmap(0, pages * page_size), 0);
    EXPECT_EQ(pool.used(), empty);
}

ConfigBuilder cell_with_ram() {
    ConfigBuilder config("cell", 1, 0x2);
    config.cell.flags = JH_CELL_PASSIVE_COMMREG;
    config.memory = {ram(0x70000000, 0, 0x100000, JH_MEM_LOADABLE),
                     ram(0x70100000, 0x100000, 0x1000),
                     {0, 0x80000000, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_COMM_REGION},
                     ram(0x70200000, 0x200000, 0x1000, JH_MEM_ROOTSHARED)};
    return config;
}

TEST(GaolMemoryMap, TheRootLosesWhatACellGetsAndRegainsIt) {
    FakeMachine machine;
    Hypervisor& hv = hypervisor();
    const size_t used = hv.pool.used();
    ASSERT_EQ(machine.create(cell_with_ram()), 0) << machine.console();
    const Cell& cell = *hv.find_cell(1);
    EXPECT_EQ(machine.translate(cell, 0x1234), 0x70001234u);
    EXPECT_EQ(machine.translate(cell, 0x101000), nowhere);
    EXPECT_EQ(machine.translate(hv.root, 0x70000000), nowhere);
    EXPECT_EQ(machine.translate(hv.root, 0x70100000), nowhere);
    EXPECT_EQ(machine.translate(hv.root, 0x70101000), 0x70101000u);
    EXPECT_EQ(machine.translate(hv.root, 0x70200000), 0x70200000u); // root-shared
    EXPECT_EQ(machine.translate(cell, 0x80000000), arch::pool_address(cell.comm).value);

    ASSERT_EQ(finish(cell_set_loadable, 1), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x70000000), 0x70000000u);
    EXPECT_EQ(machine.translate(hv.root, 0x70100000), nowhere); // not loadable
    ASSERT_EQ(finish(cell_start, 1), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x70000000), nowhere);

    ASSERT_EQ(finish(cell_destroy, 1), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x70000000), 0x70000000u);
    EXPECT_EQ(hv.pool.used(), used);
    EXPECT_EQ(hv.cell_count(), 1u);
}

/// Regions that need tables of their own in the root's map, one that needs none, and one in pages of both.
ConfigBuilder cell_with_awkward_ram() {
    ConfigBuilder config("awkward", 1, 0x2);
    config.cell.flags = JH_CELL_PASSIVE_COMMREG;
    config.memory = {ram(0x70000000, 0, 0x10000, JH_MEM_LOADABLE),
                     ram(0x70200000, 0x200000, 0x200000, JH_MEM_LOADABLE),
                     ram(0x705ff000, 0x5ff000, 0x203000, JH_MEM_LOADABLE),
                     ram(0x70a01000, 0xa00000, 0x200000, JH_MEM_LOADABLE | JH_MEM_NO_HUGEPAGES),
                     {0, 0x80000000, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_COMM_REGION}};
    return config;
}

TEST(GaolMemoryMap, NothingIsAllocatedAfterCreate) {
    FakeMachine machine;
    Hypervisor& hv = hypervisor();
    const size_t before = hv.pool.used();
    ASSERT_EQ(machine.create(cell_with_awkward_ram()), 0) << machine.console();
    std::vector<void*> taken;
    while (void* page = hv.pool.allocate()) {
        taken.push_back(page);
    }
    for (int turn = 0; turn < 3; ++turn) {
        ASSERT_EQ(finish(cell_set_loadable, 1), 0) << "turn " << turn;
        EXPECT_EQ(hv.pool.used(), hv.pool.size());
        for (const uint64_t address : {0x7000ffffu, 0x703fffffu, 0x70801fffu, 0x70c00fffu}) {
            EXPECT_EQ(machine.translate(hv.root, address), address);
        }
        ASSERT_EQ(finish(cell_start, 1), 0) << "turn " << turn;
        EXPECT_EQ(hv.pool.used(), hv.pool.size());
        for (const uint64_t address : {0x70000000u, 0x70200000u, 0x705ff000u, 0x70a01000u}) {
            EXPECT_EQ(machine.translate(hv.root, address), nowhere);
        }
    }
    ASSERT_EQ(finish(cell_destroy, 1), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x70000000), 0x70000000u);
    for (void* page : taken) {
        hv.pool.release(page);
    }
    EXPECT_EQ(hv.pool.used(), before);
}

TEST(GaolMemoryMap, NothingChangesWhenThePoolIsEmpty) {
    FakeMachine machine;
    Hypervisor& hv = hypervisor();
    const ConfigBuilder config = cell_with_ram();
    for (size_t left = 0; left < 16; ++left) {
        std::vector<void*> taken;
        while (hv.pool.size() - hv.pool.used() > left) {
            taken.push_back(hv.pool.allocate());
        }
        const size_t used = hv.pool.used();
        const int result = machine.create(config);
        if (result == 0) {
            ASSERT_EQ(finish(cell_destroy, 1), 0);
        } else {
            EXPECT_EQ(result, -JH_ENOMEM);
        }
        EXPECT_EQ(hv.pool.used(), used) << left << " pages left";
        EXPECT_EQ(machine.translate(hv.root, 0x70000000), 0x70000000u);
        EXPECT_TRUE(hv.root.cpus.test(1));
        for (void* page : taken) {
            hv.pool.release(page);
        }
    }
}

TEST(GaolMemoryMap, SubPageRegionsPassWhatTheirFlagsAllow) {
    FakeMachine machine;
    ConfigBuilder config = cell_with_ram();
    config.memory.push_back({0x09000010, 0x09000010, 0x10, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_IO | JH_MEM_IO_32});
    ASSERT_EQ(machine.create(config), 0) << machine.console();
    const Cell& cell = *hypervisor().find_cell(1);
    EXPECT_EQ(machine.translate(cell, 0x09000010), nowhere);
    MmioAccess write{0x09000014, 4, true, 0xcafe};
    EXPECT_EQ(subpage_access(cell, write), MmioResult::done);
    EXPECT_EQ(machine.read32(0x09000014), 0xcafeu);
    MmioAccess byte{0x09000014, 1, false, 0};
    EXPECT_EQ(subpage_access(cell, byte), MmioResult::unclaimed);
    MmioAccess crooked{0x09000012, 4, false, 0};
    EXPECT_EQ(subpage_access(cell, crooked), MmioResult::unclaimed);
    MmioAccess beyond{0x0900001e, 4, false, 0};
    EXPECT_EQ(subpage_access(cell, beyond), MmioResult::unclaimed);
}

/// A cell with a quarter of a page of devices that the root has.
ConfigBuilder with_subpage(const char* name, uint32_t id, uint8_t cpus, uint64_t phys) {
    ConfigBuilder config(name, id, cpus);
    config.memory = {{phys, phys, 0x400, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_IO | JH_MEM_IO_32}};
    return config;
}

MmioResult access(const Cell& cell, uint64_t address, unsigned size, uint64_t& value, bool write = false) {
    MmioAccess wanted{address, size, write, value};
    const MmioResult result = subpage_access(cell, wanted);
    value = wanted.value;
    return result;
}

TEST(GaolMemoryMap, TheRootKeepsTheRestOfAPageOfWhichACellHasAPart) {
    FakeMachine machine;
    Hypervisor& hv = hypervisor();
    machine.write(0x50000000, {1, 2, 3, 4, 5, 6, 7, 8});
    ASSERT_EQ(machine.create(with_subpage("one", 1, 0x2, 0x50000400)), 0);
    ASSERT_EQ(machine.create(with_subpage("two", 2, 0x4, 0x50000800)), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x50000000), nowhere);
    uint64_t value = 0;
    EXPECT_EQ(access(hv.root, 0x50000000, 4, value), MmioResult::done);
    EXPECT_EQ(value, 0x04030201u);
    EXPECT_EQ(access(hv.root, 0x50000bfc, 8, value), MmioResult::unclaimed); // half of it is the cell's
    for (const uint64_t theirs : {0x50000400u, 0x500007fcu, 0x50000800u}) {
        EXPECT_EQ(access(hv.root, theirs, 4, value), MmioResult::unclaimed);
        EXPECT_EQ(access(hv.root, theirs, 4, value, true), MmioResult::unclaimed);
    }
    EXPECT_EQ(access(hv.root, 0x50001000, 4, value), MmioResult::unclaimed); // no business of this path
    ASSERT_EQ(finish(cell_destroy, 1), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x50000000), nowhere); // the other cell still has its part
    EXPECT_EQ(access(hv.root, 0x50000400, 4, value), MmioResult::done);
    ASSERT_EQ(finish(cell_destroy, 2), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x50000000), 0x50000000u);
}

TEST(GaolMemoryMap, EachPageOfARegionAcrossPagesComesBackByItself) {
    FakeMachine machine;
    Hypervisor& hv = hypervisor();
    ConfigBuilder config = with_subpage("across", 1, 0x2, 0x50000c00); // and the first KiB of the second page
    config.memory[0].size = 0x2800;
    ASSERT_EQ(machine.create(with_subpage("before", 2, 0x4, 0x50000800)), 0);
    ASSERT_EQ(machine.create(config), 0);
    ASSERT_EQ(machine.create(with_subpage("behind", 3, 0x8, 0x50003400)), 0) << machine.console();
    ASSERT_EQ(finish(cell_destroy, 1), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x50000000), nowhere);
    EXPECT_EQ(machine.translate(hv.root, 0x50001000), 0x50001000u);
    EXPECT_EQ(machine.translate(hv.root, 0x50002000), 0x50002000u);
    EXPECT_EQ(machine.translate(hv.root, 0x50003000), nowhere);
    ASSERT_EQ(finish(cell_destroy, 3), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x50003000), 0x50003000u);
    ASSERT_EQ(finish(cell_destroy, 2), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x50000000), 0x50000000u);
}

TEST(GaolMemoryMap, PartsOfAPageAreGivenOnce) {
    FakeMachine machine;
    ASSERT_EQ(machine.create(with_subpage("one", 1, 0x2, 0x50000400)), 0);
    EXPECT_EQ(machine.create(with_subpage("two", 2, 0x4, 0x50000600)), -JH_EBUSY);
    ConfigBuilder whole("whole", 2, 0x4);
    whole.memory = {ram(0x50000000, 0, 0x1000)};
    EXPECT_EQ(machine.create(whole), -JH_EBUSY);
}

TEST(GaolMemoryMap, AnAccessAcrossAPagesEndOrIntoNothingIsAViolation) {
    FakeMachine machine;
    ConfigBuilder config("cell", 1, 0x2);
    constexpr uint64_t flags = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_IO | JH_MEM_IO_32 | JH_MEM_IO_UNALIGNED;
    config.memory = {{0x50000c00, 0x50000c00, 0x800, flags}, {0x8000000400, 0x400, 0x400, flags}};
    ASSERT_EQ(machine.create(config), 0);
    const Cell& cell = *hypervisor().find_cell(1);
    uint64_t value = 0;
    EXPECT_EQ(access(cell, 0x50000ff9, 4, value), MmioResult::done);
    EXPECT_EQ(access(cell, 0x50000ffe, 4, value), MmioResult::unclaimed);
    EXPECT_EQ(access(cell, 0x400, 4, value), MmioResult::unclaimed);
    EXPECT_EQ(access(cell, 0x400, 4, value, true), MmioResult::unclaimed);
}

} // namespace
} // namespace gaol::test
