// SPDX-License-Identifier: Apache-2.0
/*
 * A QEMU plugin: which CPU got turns of how many instructions, when all CPUs share one host thread (-icount). One CPU
 * is watched, from the first time that it executes `start` until it executes `stop`. Arguments: out=FILE cpu=N start=PC
 * stop=PC. Lines of FILE: "gap INSTRUCTIONS most CPU INSTRUCTIONS after PC INSTRUCTIONS": the most so far that others
 * executed between two turns of the watched CPU, the longest turn among them, and where and after how many instructions
 * the watched CPU's turn before had ended; "own INSTRUCTIONS", its own longest turn so far; "done". A turn ends with a
 * WFI, too: when every other CPU is idle, the next one may be the same CPU's, a timer's period later.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

enum {
    WFI = 0xd503207fU
};

struct block {
    uint64_t pc, instructions;
    bool waits; /* ends with a WFI */
};

static FILE* out;
static uint64_t watched, start, stop;
static enum {
    before,
    during,
    after
} phase;
static unsigned current;                             /* CPU whose turn it is */
static uint64_t turn;                                /* its instructions so far */
static uint64_t gap, most, longest_gap, longest_own; /* since the watched CPU's last turn; the longest turn in it */
static unsigned most_by;
static uint64_t last, own, own_last; /* the block executed last; the watched CPU's turn before: length and end */

static void end_of_turn(void) {
    if (current == watched) {
        if (turn > longest_own) {
            longest_own = turn;
            fprintf(out, "own %lu\n", turn);
        }
        gap = most = 0;
        own = turn;
        own_last = last;
        return;
    }
    gap += turn;
    if (turn > most) {
        most = turn;
        most_by = current;
    }
}

static void new_turn(unsigned cpu) {
    if (phase == during) {
        if (turn > 0) {
            end_of_turn();
        }
        if (cpu == watched && gap > longest_gap) {
            longest_gap = gap;
            fprintf(out, "gap %lu most %u %lu after %lx %lu\n", gap, most_by, most, own_last, own);
        }
    }
    current = cpu;
    turn = 0;
}

static void executed(unsigned cpu, void* data) {
    const struct block* block = data;
    if (cpu != current) {
        new_turn(cpu);
    }
    if (cpu == watched && phase == before && block->pc == start) {
        phase = during;
        turn = 0;
    } else if (cpu == watched && phase == during && block->pc == stop) {
        phase = after;
        fprintf(out, "done\n");
        fflush(out);
    }
    turn += block->instructions;
    last = block->pc;
    if (block->waits && phase == during) {
        end_of_turn();
        turn = 0;
    }
}

/* Whether the block's last instruction is a WFI, after which nothing runs on this CPU until an interrupt is pending. */
static bool waits(const struct qemu_plugin_tb* tb) {
    const struct qemu_plugin_insn* final = qemu_plugin_tb_get_insn(tb, qemu_plugin_tb_n_insns(tb) - 1);
    uint32_t code;
    memcpy(&code, qemu_plugin_insn_data(final), sizeof(code));
    return code == WFI;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    struct block* block = malloc(sizeof(*block));
    (void)id;
    block->pc = qemu_plugin_tb_vaddr(tb);
    block->instructions = qemu_plugin_tb_n_insns(tb);
    block->waits = waits(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, block);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int count,
                                                               char** arguments) {
    (void)info;
    for (int index = 0; index < count; ++index) {
        const char* value = strchr(arguments[index], '=') + 1;
        if (strncmp(arguments[index], "out=", 4) == 0) {
            out = fopen(value, "w");
        } else if (strncmp(arguments[index], "cpu=", 4) == 0) {
            watched = strtoull(value, NULL, 0);
        } else if (strncmp(arguments[index], "start=", 6) == 0) {
            start = strtoull(value, NULL, 0);
        } else if (strncmp(arguments[index], "stop=", 5) == 0) {
            stop = strtoull(value, NULL, 0);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return out == NULL;
}
