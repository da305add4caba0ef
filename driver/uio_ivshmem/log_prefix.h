/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before everything else: how this module's lines begin in the kernel log. */
#define pr_fmt(format) "uio_ivshmem: " format
