// SPDX-License-Identifier: GPL-2.0-only
/*
 * Into the hypervisor and back. Linux that was booted at EL2 and runs at EL1 keeps a small stub at EL2; its call
 * HVC_SOFT_RESTART (arch/arm64/include/asm/virt.h) enters an address of ours at EL2. No unexported symbol is needed.
 */
#include <linux/cpu.h>
#include <linux/kallsyms.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>

#include <asm/arch_timer.h>
#include <asm/barrier.h>
#include <asm/cputype.h>
#include <asm/ptrace.h>
#include <asm/sysreg.h>
#include <asm/virt.h>

#include "gaol.h"
#include "hypercall.h"

#define STUB_ANSWER 0xbadca11UL /* of the stub to a call that it does not know */

/* All calls of the stub have this form; those that come back change the registers of an ordinary call at most. */
static long stub_call(u64 number, u64 entry, u64 first, u64 second)
{
	register u64 x0 asm("x0") = number;
	register u64 x1 asm("x1") = entry;
	register u64 x2 asm("x2") = first;
	register u64 x3 asm("x3") = second;
	register u64 x4 asm("x4") = 0;

	asm volatile("hvc #0"
		     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4)
		     :
		     : "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x30",
		       "cc", "memory");
	return x0;
}

static void probe_stub(void *foreign)
{
	if (stub_call(HVC_STUB_HCALL_NR, 0, 0, 0) != STUB_ANSWER)
		atomic_inc((atomic_t *)foreign);
}

/*
 * Linux's own record of the exception level that it was booted at is not exported. What is: the counter that it reads.
 * It takes the physical one (cntpct) when it owns EL2, the virtual one (cntvct) when somebody above may offset it.
 */
static bool booted_at_el2(void)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, (unsigned long)arch_timer_read_counter);
	return strstr(name, "cntpct") != NULL;
}

/* 0, or -ENODEV (there is no EL2 for us) or -EBUSY (somebody is using it), with the reason in the kernel log. */
int gaol_launch_possible(void)
{
	u64 features = read_sysreg(id_aa64pfr0_el1);
	atomic_t foreign = ATOMIC_INIT(0);

	if (read_sysreg(CurrentEL) == CurrentEL_EL2) {
		pr_err("Linux itself runs at EL2 (VHE); boot it with kvm-arm.mode=nvhe\n");
		return -ENODEV;
	}
	if (!((features >> ID_AA64PFR0_EL1_EL2_SHIFT) & 0xf)) {
		pr_err("this CPU has no EL2; under QEMU: -machine virt,virtualization=on\n");
		return -ENODEV;
	}
	if (!booted_at_el2()) {
		pr_err("Linux was not booted at EL2, so EL2 is not ours to take (boot loader, or a hypervisor "
		       "below)\n");
		return -ENODEV;
	}
	on_each_cpu(probe_stub, &foreign, 1);
	if (atomic_read(&foreign)) {
		pr_err("EL2 is in use on %d CPUs: stop the virtual machines (KVM) first\n", atomic_read(&foreign));
		return -EBUSY;
	}
	return 0;
}

/* Writes a range back to memory and drops it from the caches: the image starts with its caches off. */
void gaol_clean_cache(const void *start, size_t size)
{
	u64 line = 4UL << ((read_sysreg(ctr_el0) >> CTR_EL0_DminLine_SHIFT) & 0xf);
	u64 address = (u64)start & ~(line - 1);

	for (; address < (u64)start + size; address += line)
		asm volatile("dc civac, %0" : : "r"(address) : "memory");
	dsb(sy);
}

struct affinity {
	u64 *mpidr;
};

static void read_affinity(void *data)
{
	((struct affinity *)data)->mpidr[smp_processor_id()] = read_cpuid_mpidr() & MPIDR_HWID_BITMASK;
}

/* MPIDR_EL1's affinity fields of each online CPU; ~0 where there is none. */
void gaol_read_affinities(u64 mpidr[GAOL_MAX_CPUS])
{
	struct affinity affinity = { mpidr };
	int cpu;

	for (cpu = 0; cpu < GAOL_MAX_CPUS; cpu++)
		mpidr[cpu] = ~0ULL;
	on_each_cpu(read_affinity, &affinity, 1);
}

struct crossing {
	phys_addr_t image;
	phys_addr_t entry; /* 0: the way back */
	int results[GAOL_MAX_CPUS];
};

static int cross(void *data)
{
	struct crossing *crossing = data;
	unsigned int cpu = smp_processor_id();

	dsb(sy);
	if (crossing->entry)
		crossing->results[cpu] = (int)stub_call(HVC_SOFT_RESTART, crossing->entry, crossing->image, cpu);
	else
		crossing->results[cpu] = gaol_hypercall(JH_HC_DISABLE, 0, 0);
	isb();
	return 0;
}

/* All online CPUs cross at the same time with interrupts off. The first result that is not 0. */
static int cross_all(phys_addr_t image, phys_addr_t entry)
{
	struct crossing crossing = { .image = image, .entry = entry };
	int cpu, result;

	result = stop_machine(cross, &crossing, cpu_online_mask);
	if (result)
		return result;
	for (cpu = 0; cpu < GAOL_MAX_CPUS; cpu++)
		if (crossing.results[cpu])
			return crossing.results[cpu];
	return 0;
}

/* Enters the image on every online CPU. The caller has stopped CPU hotplug. 0 or the hypervisor's errno. */
int gaol_launch(phys_addr_t image, phys_addr_t entry)
{
	return cross_all(image, entry);
}

/* Asks the hypervisor to give every online CPU back. */
int gaol_leave(void)
{
	return cross_all(0, 0);
}
