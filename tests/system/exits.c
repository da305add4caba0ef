// SPDX-License-Identifier: Apache-2.0
/* clang-format off
 * A QEMU plugin: the instructions of each stay in the hypervisor. Arguments: out=FILE image=ADDRESS size=BYTES
 * vectors=ADDRESS. Lines of FILE, one a stay, when the CPU is back in its cell:
 *
 *   CPU VECTOR N    entered by the vector at this offset (hexadecimal), N instructions to the return
 *
 * Counted one by one. With -icount an access to a device is executed anew when it was not its block's last instruction,
 * so an instruction that follows itself counts once.
 * clang-format on */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

enum {
    max_cpus = 16
};

struct cpu {
    bool inside;
    uint64_t first, last; /* addresses of instructions of this stay */
    uint64_t count;
};

static FILE* out;
static uint64_t image, size, vectors;
static struct cpu cpus[max_cpus];

static void instruction(unsigned number, void* data) {
    struct cpu* cpu = &cpus[number];
    const uint64_t pc = (uint64_t)(uintptr_t)data;
    if (!cpu->inside) {
        *cpu = (struct cpu){.inside = true, .first = pc};
    }
    cpu->count += pc != cpu->last;
    cpu->last = pc;
}

static void outside(unsigned number, void* data) {
    struct cpu* cpu = &cpus[number];
    (void)data;
    if (cpu->inside) {
        fprintf(out, "%u %lx %lu\n", number, cpu->first - vectors, cpu->count);
        fflush(out);
        cpu->inside = false;
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
    (void)id;
    if (qemu_plugin_tb_vaddr(block) - image >= size) {
        qemu_plugin_register_vcpu_tb_exec_cb(block, outside, QEMU_PLUGIN_CB_NO_REGS, NULL);
        return;
    }
    for (size_t index = 0; index < qemu_plugin_tb_n_insns(block); ++index) {
        struct qemu_plugin_insn* one = qemu_plugin_tb_get_insn(block, index);
        qemu_plugin_register_vcpu_insn_exec_cb(one, instruction, QEMU_PLUGIN_CB_NO_REGS,
                                               (void*)(uintptr_t)qemu_plugin_insn_vaddr(one));
    }
}

static uint64_t* number_of(const char* name) {
    if (strcmp(name, "image") == 0) {
        return &image;
    }
    return strcmp(name, "size") == 0 ? &size : &vectors;
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int count,
                                                               char** arguments) {
    (void)info;
    for (int index = 0; index < count; ++index) {
        char* value = strchr(arguments[index], '=');
        *value++ = '\0';
        if (strcmp(arguments[index], "out") == 0) {
            out = fopen(value, "w");
        } else {
            *number_of(arguments[index]) = strtoull(value, NULL, 0);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return out == NULL;
}
