// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/management.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/comm_region.hpp"
#include "hypervisor/core/config_check.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/core/sharing_check.hpp"
#include "hypervisor/core/suspension.hpp"
#include "hypervisor/core/vpci.hpp"

#include <new>

namespace gaol {

namespace {

/// The management lock for one turn of a call. A second manager is told to try again instead of waiting (it may be one
/// of the CPUs that the first waits for), and so is everybody but the caller itself while a call waits for a reply.
class ManagementTurn {
  public:
    ManagementTurn(uint64_t number, uint64_t argument)
        : number_(number), argument_(argument), locked_(hypervisor().management.try_lock()) {}
    ~ManagementTurn() {
        if (locked_) {
            hypervisor().management.unlock();
        }
    }
    ManagementTurn(const ManagementTurn&) = delete;
    ManagementTurn& operator=(const ManagementTurn&) = delete;
    [[nodiscard]] bool taken() const {
        const UnfinishedCall& call = hypervisor().unfinished;
        return locked_ && (call.number == 0 || (call.number == number_ && call.argument == argument_));
    }
    /// The end of a turn that was taken, with the call's result. -EAGAIN: there will be another one.
    int end(int result) {
        UnfinishedCall& call = hypervisor().unfinished;
        if (result == -JH_EAGAIN) {
            call.number = number_;
            call.argument = argument_;
        } else {
            call = {};
        }
        return result;
    }

  private:
    uint64_t number_;
    uint64_t argument_;
    bool locked_;
};

template <typename Action> void for_each_cpu(const CpuSet& cpus, Action action) {
    for (size_t cpu = cpus.next(); cpu < max_cpus; cpu = cpus.next(cpu + 1)) {
        action(*hypervisor().cpus[cpu]);
    }
}

InterruptSet interrupts_of(const CellConfig& config) {
    InterruptSet set;
    for (const auto& chip : config.irqchips()) {
        for (uint32_t word = 0; word < 4; ++word) {
            set.or_word(chip.pin_base / 32 + word, chip.pin_bitmap[word]);
        }
    }
    if (!config.pci_devices().empty()) {
        for (uint32_t pin = 0; pin < 4; ++pin) {
            set.set(first_spi + config.descriptor().vpci_irq_base + pin);
        }
    }
    return set;
}

/// Interrupts that another cell (no root) has already.
bool interrupts_taken(const InterruptSet& wanted) {
    for (const Cell* cell = hypervisor().root.next; cell != nullptr; cell = cell->next) {
        for (size_t word = 0; word < InterruptSet::words; ++word) {
            if ((cell->interrupts.word(word) & wanted.word(word)) != 0) {
                return true;
            }
        }
    }
    return false;
}

/// What the root cell has: its config less what the cells have.
void recompute_root_interrupts() {
    Cell& root = hypervisor().root;
    root.interrupts = interrupts_of(root.config);
    for (const Cell* cell = root.next; cell != nullptr; cell = cell->next) {
        for (size_t bit = cell->interrupts.next(); bit < max_interrupts; bit = cell->interrupts.next(bit + 1)) {
            root.interrupts.clear(bit);
        }
    }
}

/// A cell that has locked the configuration, or null.
Cell* locking_cell() {
    for (Cell* cell = hypervisor().root.next; cell != nullptr; cell = cell->next) {
        if ((cell->config.descriptor().flags & JH_CELL_PASSIVE_COMMREG) == 0 &&
            comm_state(*cell) == JH_CELL_RUNNING_LOCKED) {
            return cell;
        }
    }
    return nullptr;
}

/// Tell every cell that the configuration has changed, one after the other. 0, whatever they answer, or -EAGAIN.
int tell_cells() {
    UnfinishedCall& call = hypervisor().unfinished;
    if (!call.telling) {
        call.telling = true;
        call.next_to_tell = hypervisor().root.next;
    }
    for (; call.next_to_tell != nullptr; call.next_to_tell = call.next_to_tell->next) {
        if (comm_ask(call.question, *call.next_to_tell, JH_MSG_RECONFIG_COMPLETED, JH_REPLY_RECEIVED) ==
            Answer::pending) {
            return -JH_EAGAIN;
        }
    }
    return 0;
}

uint32_t free_slot() {
    uint32_t slot = 1;
    for (const Cell* cell = hypervisor().root.next; cell != nullptr; cell = cell->next) {
        if (cell->slot == slot) {
            ++slot;
            cell = &hypervisor().root;
        }
    }
    return slot;
}

void append(Cell& cell) {
    Cell* last = &hypervisor().root;
    while (last->next != nullptr) {
        last = last->next;
    }
    last->next = &cell;
}

void remove(const Cell& cell) {
    Cell* before = &hypervisor().root;
    while (before->next != &cell) {
        before = before->next;
    }
    before->next = cell.next;
}

/// Copy the config out of the root's memory. On success `config` is set and must be released.
int copy_config(GuestAddr from, jh_cell*& config, size_t& pages) {
    Hypervisor& hv = hypervisor();
    jh_cell head;
    if (!arch::read_guest(hv.root, from, &head, sizeof(head))) {
        ConsoleOut() << "Config of a cell refused: address 0x" << hex(from.value) << " is no RAM of the root cell\n";
        return -JH_EINVAL;
    }
    const uint64_t size = CellConfig::size_of(head);
    if (size > max_config_size) {
        ConsoleOut() << "Config of a cell refused: size: the arrays need " << size << " bytes, the most is "
                     << uint64_t{max_config_size} << '\n';
        return -JH_E2BIG;
    }
    pages = page_up(size) / page_size;
    config = static_cast<jh_cell*>(hv.pool.allocate(pages));
    if (config == nullptr) {
        return -JH_ENOMEM;
    }
    if (!arch::read_guest(hv.root, from, config, size) || CellConfig::size_of(*config) != size) {
        hv.pool.release(config, pages);
        return -JH_EINVAL;
    }
    if (const int error = check_cell(*config, size); error != 0) {
        hv.pool.release(config, pages);
        return error;
    }
    return 0;
}

/// Pages of a cell itself; everything that its making allocated.
void free_cell(Cell* cell) {
    Hypervisor& hv = hypervisor();
    arch::stage2_destroy(*cell);
    hv.pool.release(cell->comm);
    hv.pool.release(const_cast<jh_cell*>(&cell->config.descriptor()), cell->config_pages);
    hv.pool.release(cell);
}

int make_cell(jh_cell* config, size_t pages, Cell*& made) {
    static_assert(sizeof(Cell) <= page_size);
    Hypervisor& hv = hypervisor();
    void* page = hv.pool.allocate();
    if (page == nullptr) {
        hv.pool.release(config, pages);
        return -JH_ENOMEM;
    }
    Cell* cell = new (page) Cell;
    cell->config = CellConfig(config);
    cell->config_pages = pages;
    cell->id = config->id;
    cell->slot = free_slot();
    cell->interrupts = interrupts_of(cell->config);
    cell->comm = static_cast<jh_comm_arm*>(hv.pool.allocate());
    int error = cell->comm == nullptr ? -JH_ENOMEM : arch::stage2_create(*cell);
    if (error == 0) {
        error = map_cell(*cell);
    }
    if (error == 0) {
        error = vpci_create(*cell);
    }
    if (error != 0) {
        free_cell(cell);
        return error;
    }
    comm_prepare(*cell);
    comm_set_state(*cell, JH_CELL_SHUT_DOWN);
    made = cell;
    return 0;
}

void hand_over_cpus(const CpuSet& cpus, Cell& from, Cell& to) {
    for_each_cpu(cpus, [&](Cpu& cpu) {
        from.cpus.clear(cpu.id);
        to.cpus.set(cpu.id);
        cpu.cell = &to;
        cpu.reset_statistics();
    });
}

/// All CPUs of a suspended cell wait in the hypervisor from now on.
void stop_cpus(const Cell& cell) {
    for_each_cpu(cell.cpus, [](Cpu& cpu) {
        cpu.start = false;
        cpu.state = CpuState::off;
        cpu.turn_off = true;
        arch::kick(cpu);
    });
}

/// Move memory, CPUs and interrupts from the root to a cell, while the root stands still. What the root's caches hold
/// of the memory goes there before the cell runs: see start().
int take_over(Cell& cell) {
    Hypervisor& hv = hypervisor();
    const Suspension suspension(hv.root.cpus);
    if (const int error = take_from_root(cell); error != 0) {
        return_to_root(cell);
        return error;
    }
    append(cell);
    hand_over_cpus(cell.config.cpus(), hv.root, cell);
    stop_cpus(cell);
    recompute_root_interrupts();
    arch::interrupts_assign(cell.interrupts, cell);
    arch::interrupts_reroute(hv.root.interrupts, hv.root);
    return 0;
}

/// Make the cell, and give it what its config says.
int bring_up(jh_cell* config, size_t pages, Cell*& cell) {
    if (const int error = make_cell(config, pages, cell); error != 0) {
        return error;
    }
    const int error = take_over(*cell);
    if (error != 0) {
        vpci_destroy(*cell);
        free_cell(cell);
    }
    return error;
}

/// From here on the cell's memory does not change: none of its CPUs runs.
void halt(const Cell& cell) {
    const Suspension suspension(cell.cpus);
    stop_cpus(cell);
    arch::interrupts_assign(cell.interrupts, cell);
}

/// The reverse of take_over().
void hand_back(Cell& cell) {
    Hypervisor& hv = hypervisor();
    const Suspension suspension(hv.root.cpus, cell.cpus);
    stop_cpus(cell);
    arch::interrupts_assign(cell.interrupts, hv.root);
    vpci_destroy(cell);
    remove(cell);
    hand_over_cpus(CpuSet(cell.cpus), cell, hv.root);
    return_to_root(cell);
    recompute_root_interrupts();
}

/// The cell is gone afterwards. What takes long, cleaning its memory and taking its tables apart, holds nobody.
void tear_down(Cell* cell) {
    const CpuSet cpus = cell->cpus;
    halt(*cell);
    flush_cell_memory(*cell);
    hand_back(*cell);
    { const Suspension again(cpus); } // who is held a second time has loaded the root's tables (turn_off)
    free_cell(cell);
}

/// The cell that a hypercall names, which must not be the root. Null and `error` otherwise.
Cell* target(uint32_t id, int& error) {
    Cell* cell = hypervisor().find_cell(id);
    error = cell == nullptr ? -JH_ENOENT : cell->is_root() ? -JH_EINVAL : 0;
    return error == 0 ? cell : nullptr;
}

/// Ask the cell to shut down; -EPERM when it refuses, -EAGAIN while it has not answered.
int ask_shutdown(Cell& cell) {
    switch (comm_ask(hypervisor().unfinished.question, cell, JH_MSG_SHUTDOWN_REQUEST, JH_REPLY_REQUEST_APPROVED)) {
    case Answer::pending:
        return -JH_EAGAIN;
    case Answer::yes:
        return 0;
    default:
        return -JH_EPERM;
    }
}

/// Copy and judge a config, and make its cell.
int create(GuestAddr from) {
    if (locking_cell() != nullptr) {
        return -JH_EPERM;
    }
    Hypervisor& hv = hypervisor();
    jh_cell* config = nullptr;
    size_t pages = 0;
    if (const int error = copy_config(from, config, pages); error != 0) {
        return error;
    }
    int error = check_claims(CellConfig(config));
    error = error != 0 ? error : check_sharing(CellConfig(config));
    if (error == 0 && interrupts_taken(interrupts_of(CellConfig(config)))) {
        ConsoleOut() << "Config of cell \"" << CellConfig(config).name()
                     << "\" refused: irqchips or vpci_irq_base: an interrupt belongs to another cell\n";
        error = -JH_EBUSY;
    }
    if (error != 0) {
        hv.pool.release(config, pages);
        return error;
    }
    Cell* cell = nullptr;
    if (error = bring_up(config, pages, cell); error != 0) {
        return error;
    }
    ConsoleOut() << "Created cell \"" << cell->name() << "\"\n";
    hv.report_pools("after cell creation");
    return tell_cells();
}

/// A call that changes one cell: found, asked to shut down, then changed by `work(cell)`.
template <typename Work> int change_cell(uint64_t number, uint32_t id, Work work) {
    ManagementTurn turn(number, id);
    if (!turn.taken()) {
        return -JH_EBUSY;
    }
    if (hypervisor().unfinished.telling) {
        return turn.end(tell_cells());
    }
    int error = 0;
    Cell* cell = target(id, error);
    if (cell == nullptr) {
        return turn.end(error);
    }
    const Cell* locking = number == JH_HC_CELL_DESTROY ? locking_cell() : nullptr;
    if (locking != nullptr && locking != cell) {
        return turn.end(-JH_EPERM);
    }
    error = ask_shutdown(*cell);
    return turn.end(error != 0 ? error : work(*cell));
}

int lend(Cell& cell) {
    const Suspension suspension(hypervisor().root.cpus, cell.cpus);
    stop_cpus(cell);
    vpci_reset(cell);
    arch::interrupts_assign(cell.interrupts, cell);
    comm_set_state(cell, JH_CELL_SHUT_DOWN);
    if (cell.loadable) {
        return 0;
    }
    if (const int error = lend_loadable(cell, true); error != 0) {
        lend_loadable(cell, false);
        return error;
    }
    cell.loadable = true;
    ConsoleOut() << "Cell \"" << cell.name() << "\" can be loaded\n";
    return 0;
}

/// From here on nobody reaches the cell's memory: none of its CPUs runs, and what the root was lent is taken back.
int close_off(Cell& cell) {
    const Suspension suspension(hypervisor().root.cpus, cell.cpus);
    if (cell.loadable) {
        if (const int error = lend_loadable(cell, false); error != 0) {
            lend_loadable(cell, true);
            return error;
        }
        cell.loadable = false;
    }
    stop_cpus(cell);
    vpci_reset(cell);
    arch::interrupts_assign(cell.interrupts, cell);
    return 0;
}

/// Cleaning the memory takes long: the root runs meanwhile.
int start(Cell& cell) {
    if (const int error = close_off(cell); error != 0) {
        return error;
    }
    flush_cell_memory(cell);
    const Suspension suspension(cell.cpus);
    arch::stage2_flush(cell);
    comm_prepare(cell);
    for_each_cpu(cell.cpus, [](Cpu& cpu) { cpu.reset_statistics(); });
    Cpu& first = *hypervisor().cpus[cell.cpus.next()];
    first.start_address = cell.config.descriptor().cpu_reset_address;
    first.start_argument = 0;
    first.start = true;
    arch::kick(first);
    ConsoleOut() << "Started cell \"" << cell.name() << "\"\n";
    return 0;
}

int destroy(Cell& cell) {
    ConsoleOut() << "Closing cell \"" << cell.name() << "\"\n";
    tear_down(&cell);
    hypervisor().report_pools("after cell destruction");
    return tell_cells();
}

} // namespace

int root_create() {
    Hypervisor& hv = hypervisor();
    Cell& root = hv.root;
    root.config = CellConfig(&hv.system->root_cell);
    root.id = 0;
    root.cpus = root.config.cpus();
    root.interrupts = interrupts_of(root.config);
    root.comm = static_cast<jh_comm_arm*>(hv.pool.allocate());
    int error = root.comm == nullptr ? -JH_ENOMEM : arch::stage2_create(root);
    if (error == 0) {
        error = map_cell(root);
    }
    if (error == 0) {
        error = vpci_create(root);
    }
    if (error == 0) {
        comm_prepare(root);
        for_each_cpu(root.cpus, [&root](Cpu& cpu) { cpu.cell = &root; });
    }
    return error;
}

int cell_create(GuestAddr from) {
    ManagementTurn turn(JH_HC_CELL_CREATE, from.value);
    if (!turn.taken()) {
        return -JH_EBUSY;
    }
    return turn.end(hypervisor().unfinished.telling ? tell_cells() : create(from));
}

int cell_set_loadable(uint32_t id) {
    return change_cell(JH_HC_CELL_SET_LOADABLE, id, lend);
}

int cell_start(uint32_t id) {
    return change_cell(JH_HC_CELL_START, id, start);
}

int cell_destroy(uint32_t id) {
    return change_cell(JH_HC_CELL_DESTROY, id, destroy);
}

int check_disable() {
    Hypervisor& hv = hypervisor();
    if (hv.root.next != nullptr) {
        return -JH_EBUSY;
    }
    int error = 0;
    for_each_cpu(hv.root.cpus,
                 [&error](const Cpu& cpu) { error = cpu.state == CpuState::running ? error : -JH_EBUSY; });
    return error;
}

void cpu_stopped(Cpu& cpu, CpuState state) {
    cpu.state = state;
    bool any_failed = false;
    bool any_runs = false;
    for_each_cpu(cpu.cell->cpus, [&](const Cpu& other) {
        any_failed = any_failed || other.state == CpuState::failed;
        any_runs = any_runs || other.state == CpuState::running || other.start;
    });
    if (any_failed && !any_runs) {
        comm_set_state(*cpu.cell, JH_CELL_FAILED);
    }
}

} // namespace gaol
