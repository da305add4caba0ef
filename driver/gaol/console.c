// SPDX-License-Identifier: GPL-2.0-only
/* The virtual console: a ring that the hypervisor writes and the root cell may read when the system config says so. */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "gaol.h"

#define FOLLOW_PAUSE_MS 50
#define CHUNK 512

/*
 * Over gaol.console, apart from gaol_lock: what the hypervisor says is wanted most while a call waits for a cell's
 * reply, and that holds gaol_lock. Taken inside of gaol_lock where both are.
 */
DEFINE_MUTEX(gaol_console_lock);

/* 0: it can be read. Call under gaol_console_lock, like all of this file's functions but gaol_console_read. */
int gaol_console_state(void)
{
	if (gaol.console)
		return 0;
	return READ_ONCE(gaol.enabled) && !gaol.console_permitted ? -EPERM : -ENODEV;
}

/* Position of the oldest character that the ring still has. */
u64 gaol_console_oldest(void)
{
	u64 written = READ_ONCE(gaol.console->written);

	return written > GAOL_CONSOLE_RING_SIZE ? written - GAOL_CONSOLE_RING_SIZE : 0;
}

/*
 * Copies from *position on and moves it. *lost counts what was overwritten before it could be read: the writer does not
 * wait, so the copy is checked against its position afterwards.
 */
size_t gaol_console_copy(char *buffer, size_t size, u64 *position, u64 *lost)
{
	u64 written, oldest = gaol_console_oldest();
	size_t count, index;

	*lost = 0;
	if (*position < oldest) {
		*lost = oldest - *position;
		*position = oldest;
	}
	written = smp_load_acquire(&gaol.console->written);
	count = min_t(u64, size, written - *position);
	for (index = 0; index < count; index++)
		buffer[index] = READ_ONCE(gaol.console->ring[(*position + index) % GAOL_CONSOLE_RING_SIZE]);
	smp_rmb();
	oldest = gaol_console_oldest();
	if (oldest > *position) {
		u64 torn = min_t(u64, oldest - *position, count);

		*lost += torn;
		memmove(buffer, buffer + torn, count - torn);
		*position += torn;
		count -= torn;
	}
	*position += count;
	return count;
}

/* The last line that was written, without its end; empty when there is none. */
void gaol_console_last_line(const struct gaol_console *console, char *line, size_t size)
{
	u64 end = READ_ONCE(console->written), start;
	size_t count = 0;

	while (end && console->ring[(end - 1) % GAOL_CONSOLE_RING_SIZE] == '\n')
		end--;
	start = end;
	while (start && end - start < size - 1 && console->ring[(start - 1) % GAOL_CONSOLE_RING_SIZE] != '\n')
		start--;
	while (start < end)
		line[count++] = console->ring[start++ % GAOL_CONSOLE_RING_SIZE];
	line[count] = 0;
}

/* A position is one in the ring of the hypervisor that was there then: the next one is read from its beginning on. */
static void find_position(struct file *file, loff_t *offset)
{
	if (file->private_data == (void *)gaol.console_generation)
		return;
	file->private_data = (void *)gaol.console_generation;
	*offset = 0;
}

static ssize_t read_some(struct file *file, char __user *buffer, size_t size, loff_t *offset)
{
	bool over = !READ_ONCE(gaol.enabled); /* asked first: what it said last is read before the end */
	u64 position, lost;
	char chunk[CHUNK];
	size_t count;
	int error;

	if (mutex_lock_interruptible(&gaol_console_lock))
		return -ERESTARTSYS;
	error = gaol_console_state();
	if (error) {
		mutex_unlock(&gaol_console_lock);
		return error == -ENODEV && *offset ? 0 : error; /* closed while somebody reads: the end */
	}
	find_position(file, offset);
	position = *offset ? *offset : gaol_console_oldest();
	count = gaol_console_copy(chunk, min_t(size_t, size, sizeof(chunk)), &position, &lost);
	mutex_unlock(&gaol_console_lock);
	if (lost)
		pr_warn_ratelimited("virtual console: %llu characters were lost, the reader was too slow\n", lost);
	if (!count)
		return over ? 0 : -EAGAIN;
	if (copy_to_user(buffer, chunk, count))
		return -EFAULT;
	*offset = position;
	return count;
}

/* /dev/jailhouse: waits for the next characters, unless O_NONBLOCK; 0 once the hypervisor is gone. */
ssize_t gaol_console_read(struct file *file, char __user *buffer, size_t size, loff_t *offset)
{
	ssize_t count;

	while (size) {
		count = read_some(file, buffer, size, offset);
		if (count != -EAGAIN || file->f_flags & O_NONBLOCK)
			return count;
		if (msleep_interruptible(FOLLOW_PAUSE_MS) || signal_pending(current))
			return -ERESTARTSYS;
	}
	return 0;
}
