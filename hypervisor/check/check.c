// SPDX-License-Identifier: GPL-2.0-only
/*
 * gaol-check: what the root cell's kernel might do to a hypervisor, for the system tests. One thing an insertion:
 *   peek=ADDRESS[,ADDRESS...]      reads a word, by a mapping of its own; of several, each CPU one at the same time
 *   form=F[,F...]                  how each of several is read: 4 (a word, unless told), 8 (64 bits), 2 (a pair),
 *                                  1 (a word, and the address register is written back)
 *   poke=ADDRESS value=V           writes one
 *   hypercall=N first=A second=B   calls, past the loader's checks
 *   interrupt=N                    makes a shared interrupt (its GIC number) pending, which must come
 *   rounds=N config=FILE seed=S    creates cells from FILE with bytes changed, and destroys those that were accepted;
 *                                  the CPUs that FILE names must be offline
 *   calls=N config=FILE seed=S     any hypercalls in any order, among them those that make, start and end FILE's cell
 * Results are lines "gaol-check: …" of the kernel's log.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irqdomain.h>
#include <linux/kernel_read_file.h>
#include <linux/module.h>
#include <linux/of_irq.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "abi/cell_config.h"
#include "abi/hypercall.h"

#define MOST_PEEKS 4
static unsigned long peek[MOST_PEEKS], poke, hypercall = ~0UL, first, second, rounds, calls, seed = 1;
static unsigned int peeks, forms, form[MOST_PEEKS], value, interrupt;
static char *config = "";
module_param_array(peek, ulong, &peeks, 0);
module_param_array(form, uint, &forms, 0);
module_param(poke, ulong, 0);
module_param(value, uint, 0);
module_param(hypercall, ulong, 0);
module_param(interrupt, uint, 0);
module_param(first, ulong, 0);
module_param(second, ulong, 0);
module_param(rounds, ulong, 0);
module_param(calls, ulong, 0);
module_param(seed, ulong, 0);
module_param(config, charp, 0);

static long call(u64 number, u64 a, u64 b)
{
	register u64 x0 asm("x0") = number;
	register u64 x1 asm("x1") = a;
	register u64 x2 asm("x2") = b;

	asm volatile("hvc %3" : "+r"(x0), "+r"(x1), "+r"(x2) : "i"(JH_HVC_IMMEDIATE) : "memory");
	return x0;
}

static int access_word(unsigned long address, bool write)
{
	void __iomem *at = ioremap(address & PAGE_MASK, PAGE_SIZE);

	if (!at)
		return -ENOMEM;
	if (write)
		writel(value, at + (address & ~PAGE_MASK));
	else
		pr_info("gaol-check: at 0x%lx is 0x%08x\n", address, readl(at + (address & ~PAGE_MASK)));
	iounmap(at);
	return 0;
}

struct reader {
	struct work_struct work;
	void __iomem *at;
	unsigned int form;
};
static atomic_t ready;

static void read_in_form(const void __iomem *at, unsigned int how)
{
	u64 one, two;

	switch (how) {
	case 8:
		readq(at);
		break;
	case 2:
		asm volatile("ldp %0, %1, [%2]" : "=&r"(one), "=&r"(two) : "r"(at) : "memory");
		break;
	case 1:
		asm volatile("ldr %w0, [%1], #4" : "=&r"(one), "+r"(at) : : "memory");
		break;
	default:
		readl(at);
	}
}

static void read_with_others(struct work_struct *work)
{
	struct reader *reader = container_of(work, struct reader, work);

	atomic_inc(&ready);
	while (atomic_read(&ready) < peeks)
		cpu_relax();
	read_in_form(reader->at, reader->form);
}

static int read_at_once(void)
{
	static struct reader readers[MOST_PEEKS];
	unsigned int cpu, next = 0;

	for (next = 0; next < peeks; next++) {
		readers[next].at = ioremap(peek[next], sizeof(u64));
		readers[next].form = next < forms ? form[next] : sizeof(u32);
		if (!readers[next].at)
			return -ENOMEM;
		INIT_WORK(&readers[next].work, read_with_others);
	}
	next = 0;
	for (cpu = cpumask_first(cpu_online_mask); cpu < nr_cpu_ids && next < peeks;
	     cpu = cpumask_next(cpu, cpu_online_mask))
		queue_work_on(cpu, system_highpri_wq, &readers[next++].work);
	for (next = 0; next < peeks; next++)
		flush_work(&readers[next].work);
	pr_info("gaol-check: nobody stopped %u reads at once\n", peeks);
	return 0;
}

static irqreturn_t came(int irq, void *count)
{
	atomic_inc(count);
	return IRQ_HANDLED;
}

/* Twice: the first may have been left behind by whoever had the line before. */
static int take_interrupt(u32 number)
{
	struct of_phandle_args args = { .np = of_find_compatible_node(NULL, NULL, "arm,gic-v3"), .args_count = 3 };
	static atomic_t count;
	unsigned int irq, turn;
	int error;

	args.args[1] = number - 32; /* an SPI, on its edge */
	args.args[2] = IRQ_TYPE_EDGE_RISING;
	irq = irq_create_of_mapping(&args);
	of_node_put(args.np);
	if (!irq)
		return -ENODEV;
	error = request_irq(irq, came, 0, "gaol-check", &count);
	for (turn = 0; turn < 2 && !error; turn++) {
		error = irq_set_irqchip_state(irq, IRQCHIP_STATE_PENDING, true);
		msleep(20);
	}
	pr_info("gaol-check: interrupt %u came %d times\n", number, atomic_read(&count));
	if (!error)
		free_irq(irq, &count);
	irq_dispose_mapping(irq);
	return error;
}

static u64 random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

#define BUFFER 8192
#define OWN_ID 9
#define CELLS_START 0x70000000ULL
#define CELLS_END 0x7fa00000ULL
#define FIRST_FREE_SPI 96

/* Would the root cell, were it accepted, lose memory or interrupts that it lives by? Not what is to be tried here. */
static bool robs_root(const struct jh_cell *cell)
{
	const u8 *end = (const u8 *)cell + BUFFER;
	const struct jh_memory *region = (const void *)((const u8 *)(cell + 1) + cell->cpu_set_size);
	const struct jh_irqchip *chip;
	u32 index;

	if (cell->cpu_set_size > 64 || cell->num_memory_regions > 64 || cell->num_cache_regions ||
	    cell->num_irqchips > 16)
		return false; /* refused for these alone, or read beyond what is here */
	if (cell->num_pci_devices && cell->vpci_irq_base < FIRST_FREE_SPI)
		return true;
	for (index = 0; index < cell->num_memory_regions && (const u8 *)(region + 1) <= end; index++, region++)
		if (!(region->flags & (JH_MEM_ROOTSHARED | JH_MEM_COMM_REGION)) && region->size &&
		    (region->phys_start < CELLS_START || region->phys_start >= CELLS_END ||
		     region->size > CELLS_END - region->phys_start))
			return true;
	chip = (const void *)region;
	for (index = 0; index < cell->num_irqchips && (const u8 *)(chip + 1) <= end; index++, chip++)
		if (chip->pin_base < 32 + FIRST_FREE_SPI &&
		    (chip->pin_bitmap[0] || chip->pin_bitmap[1] || chip->pin_bitmap[2] ||
		     (chip->pin_base != 32 && chip->pin_bitmap[3])))
			return true;
	return false;
}

static void change(u8 *bytes, size_t size)
{
	static const u64 edges[] = {
		0, 1, 4095, 4096, 0x7fc00000, 0x7fffffff, 0xffffffff, 1ULL << 39, 1ULL << 40, ~0ULL
	};
	unsigned int count = 1 + random_number() % 4;

	while (count--) {
		size_t width = 1UL << random_number() % 4;
		size_t at = random_number() % (size - width);
		u64 number = random_number() % 2 ? edges[random_number() % ARRAY_SIZE(edges)] : random_number();

		memcpy(bytes + at, &number, width);
	}
}

static int fuzz(const void *good, size_t size, void *buffer)
{
	const long pools = call(JH_HC_HYPERVISOR_INFO, JH_INFO_MEM_POOL_USED, 0);
	const long cells = call(JH_HC_HYPERVISOR_INFO, JH_INFO_NUM_CELLS, 0);
	struct jh_cell *cell = buffer;
	unsigned long round, accepted = 0, refused = 0, left_out = 0;

	for (round = 0; round < rounds; round++) {
		long result;

		cond_resched();
		memset(buffer, 0, BUFFER);
		memcpy(buffer, good, size);
		cell->id = OWN_ID; /* the loader would choose a free one */
		if (round)
			change(buffer, size);
		if (robs_root(cell)) {
			left_out++;
			continue;
		}
		result = call(JH_HC_CELL_CREATE, virt_to_phys(buffer), 0);
		if (result == 0) {
			accepted++;
			result = call(JH_HC_CELL_DESTROY, cell->id, 0);
		} else if (result < 0 && result > -100) {
			refused++;
			result = 0;
		}
		if (result || call(JH_HC_HYPERVISOR_INFO, JH_INFO_MEM_POOL_USED, 0) != pools ||
		    call(JH_HC_HYPERVISOR_INFO, JH_INFO_NUM_CELLS, 0) != cells) {
			pr_err("gaol-check: round %lu with seed now %lu left something behind (%ld)\n", round, seed,
			       result);
			return -EIO;
		}
	}
	pr_info("gaol-check: %lu accepted, %lu refused, %lu left out, nothing changed\n", accepted, refused, left_out);
	return 0;
}

/* Its memory is all undefined instructions: what runs there does nothing. */
static int clear_memory(const struct jh_cell *cell)
{
	const struct jh_memory *ram = (const void *)((const u8 *)(cell + 1) + cell->cpu_set_size);
	void *mapping = memremap(ram->phys_start, ram->size, MEMREMAP_WB);

	if (!mapping)
		return -ENOMEM;
	memset(mapping, 0, ram->size);
	memunmap(mapping);
	return 0;
}

/*
 * One call of any kind but disable, which belongs to all CPUs together, and putc, which would fill the console. Ids are
 * those of no cell but the own one: the others are not to be lost.
 */
static long any_call(u64 config_address)
{
	static const u64 numbers[] = { 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 9, 10, 1ULL << 32, ~0ULL };
	static const u64 ids[] = { 0, OWN_ID, OWN_ID, OWN_ID, 77, 1ULL << 31, 1ULL << 32 | OWN_ID, ~0ULL };
	static const u64 addresses[] = { 0, 4095, 0x7fc00000, 0x09000000, 1ULL << 39, 1ULL << 40, ~0ULL - 4095, ~0ULL };
	const u64 number = numbers[random_number() % ARRAY_SIZE(numbers)];
	u64 argument = random_number() % 4 ? ids[random_number() % ARRAY_SIZE(ids)] : random_number();

	if (number == JH_HC_CELL_CREATE)
		argument = random_number() % 2 ? config_address : addresses[random_number() % ARRAY_SIZE(addresses)];
	return call(number, argument, random_number() % 2 ? random_number() % 1012 : random_number());
}

static int call_around(const void *good, size_t size, void *buffer)
{
	struct jh_cell *cell = buffer;
	unsigned long round, done = 0, refused = 0;
	long pools, cells, result;

	memcpy(buffer, good, size);
	cell->id = OWN_ID;
	cell->flags |= JH_CELL_PASSIVE_COMMREG;
	if (clear_memory(cell))
		return -ENOMEM;
	pools = call(JH_HC_HYPERVISOR_INFO, JH_INFO_MEM_POOL_USED, 0);
	cells = call(JH_HC_HYPERVISOR_INFO, JH_INFO_NUM_CELLS, 0);
	for (round = 0; round < calls; round++) {
		cond_resched();
		result = any_call(virt_to_phys(buffer));
		if (result < -99) {
			pr_err("gaol-check: call %lu with seed now %lu gives %ld\n", round, seed, result);
			return -EIO;
		}
		if (result < 0)
			refused++;
		else
			done++;
	}
	result = call(JH_HC_CELL_DESTROY, OWN_ID, 0);
	if ((result && result != -ENOENT) || call(JH_HC_HYPERVISOR_INFO, JH_INFO_MEM_POOL_USED, 0) != pools ||
	    call(JH_HC_HYPERVISOR_INFO, JH_INFO_NUM_CELLS, 0) != cells) {
		pr_err("gaol-check: calls with seed now %lu left something behind (%ld)\n", seed, result);
		return -EIO;
	}
	pr_info("gaol-check: %lu calls done, %lu refused, nothing left behind\n", done, refused);
	return 0;
}

static int fuzz_file(void)
{
	void *good = NULL;
	ssize_t size = kernel_read_file_from_path(config, 0, &good, BUFFER, NULL, READING_UNKNOWN);
	void *buffer = kmalloc(BUFFER, GFP_KERNEL);
	int error = size < 0 ? (int)size : -ENOMEM;

	if (size >= 0 && buffer)
		error = calls ? call_around(good, size, buffer) : fuzz(good, size, buffer);
	kfree(buffer);
	vfree(good);
	return error;
}

static int __init check_init(void)
{
	if (peeks == 1)
		return access_word(peek[0], false);
	if (peeks)
		return read_at_once();
	if (poke)
		return access_word(poke, true);
	if (interrupt)
		return take_interrupt(interrupt);
	if (rounds || calls)
		return fuzz_file();
	pr_info("gaol-check: hypercall %lu gives %ld\n", hypercall, call(hypercall, first, second));
	return 0;
}

static void __exit check_exit(void)
{
}

module_init(check_init);
module_exit(check_exit);
MODULE_DESCRIPTION("What a root cell's kernel might do to a hypervisor");
MODULE_LICENSE("GPL");
