// SPDX-License-Identifier: Apache-2.0
/* clang-format off
 * A QEMU plugin: how long CPUs are inside the hypervisor while a management call is under way, when all CPUs share one
 * host thread (-icount). Arguments: out=FILE image=ADDRESS size=BYTES hold=PC release=PC, and NAME=PC for the entry of
 * each management function. Lines of FILE, one set a call:
 *
 *   NAME stay CPU OWN ALL    a stay in the hypervisor that overlapped the call, when it ends: instructions that this
 *                            CPU executed in it, and that all CPUs did
 *   NAME call CPU OWN HELD   the calling CPU's stay is over: its instructions in the call, and those of them between an
 *                            entry of `hold` and the next of `release`
 *   NAME ran CPU N           instructions that a CPU executed outside the hypervisor from the call's begin to its end
 *
 * Instructions are counted by blocks: one that an exception cuts short counts whole.
 * clang-format on */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

enum {
    max_cpus = 16,
    max_calls = 8,
};

struct block {
    uint64_t pc, instructions;
};

struct cpu {
    bool inside;
    const char* call;  /* that the present stay overlaps, or NULL */
    uint64_t own, all; /* of the present stay, and the machine's count when it began */
    uint64_t ran;      /* outside, since the call began */
    uint64_t held;     /* of a calling CPU */
    bool holding;
};

static FILE* out;
static uint64_t image, size, hold, release, all;
static struct {
    char name[32];
    uint64_t pc;
} calls[max_calls];
static unsigned call_count;
static struct cpu cpus[max_cpus];
static const char* current; /* the call that is under way */
static unsigned caller;

static void begin_call(unsigned cpu, const char* name) {
    current = name;
    caller = cpu;
    cpus[cpu].held = 0;
    cpus[cpu].holding = false;
    for (unsigned other = 0; other < max_cpus; ++other) {
        cpus[other].ran = 0;
        cpus[other].call = cpus[other].inside ? name : NULL;
    }
}

static void end_call(unsigned cpu) {
    fprintf(out, "%s call %u %lu %lu\n", current, cpu, cpus[cpu].own, cpus[cpu].held);
    for (unsigned other = 0; other < max_cpus; ++other) {
        if (cpus[other].ran != 0) {
            fprintf(out, "%s ran %u %lu\n", current, other, cpus[other].ran);
        }
    }
    current = NULL;
}

static void enter(struct cpu* cpu) {
    cpu->inside = true;
    cpu->call = current;
    cpu->own = 0;
    cpu->all = all;
}

static void leave(unsigned number, struct cpu* cpu) {
    cpu->inside = false;
    if (current != NULL && number == caller) {
        end_call(number);
    } else if (cpu->call != NULL) {
        fprintf(out, "%s stay %u %lu %lu\n", cpu->call, number, cpu->own, all - cpu->all);
    }
    fflush(out);
}

static void inside(unsigned number, struct cpu* cpu, const struct block* block) {
    for (unsigned call = 0; call < call_count; ++call) {
        if (block->pc == calls[call].pc) {
            begin_call(number, calls[call].name);
        }
    }
    if (block->pc == hold) {
        cpu->holding = true;
    } else if (block->pc == release) {
        cpu->holding = false;
    }
    cpu->own += block->instructions;
    cpu->held += cpu->holding ? block->instructions : 0;
}

static void executed(unsigned number, void* data) {
    const struct block* block = data;
    struct cpu* cpu = &cpus[number];
    const bool in_image = block->pc - image < size;
    if (in_image && !cpu->inside) {
        enter(cpu);
    } else if (!in_image && cpu->inside) {
        leave(number, cpu);
    }
    if (in_image) {
        inside(number, cpu, block);
    } else {
        cpu->ran += block->instructions;
    }
    all += block->instructions;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    struct block* block = malloc(sizeof(*block));
    (void)id;
    block->pc = qemu_plugin_tb_vaddr(tb);
    block->instructions = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void argument(const char* name, const char* value) {
    struct {
        const char* name;
        uint64_t* number;
    } const numbers[] = {{"image", &image}, {"size", &size}, {"hold", &hold}, {"release", &release}};
    if (strcmp(name, "out") == 0) {
        out = fopen(value, "w");
        return;
    }
    for (unsigned index = 0; index < sizeof(numbers) / sizeof(*numbers); ++index) {
        if (strcmp(name, numbers[index].name) == 0) {
            *numbers[index].number = strtoull(value, NULL, 0);
            return;
        }
    }
    if (call_count < max_calls) {
        snprintf(calls[call_count].name, sizeof(calls->name), "%s", name);
        calls[call_count++].pc = strtoull(value, NULL, 0);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int count,
                                                               char** arguments) {
    (void)info;
    for (int index = 0; index < count; ++index) {
        char* value = strchr(arguments[index], '=');
        *value = '\0';
        argument(arguments[index], value + 1);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return out == NULL;
}
