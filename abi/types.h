/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Integer types and the packing macro for headers that three worlds include: kernel modules (C), freestanding guests
 * (C++) and the host (C++).
 */
#ifndef ABI_TYPES_H
#define ABI_TYPES_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/types.h>
#define ABI_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type)
#else
#include <stdint.h>
#ifdef __cplusplus
#define ABI_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type)
#else
#define ABI_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#endif
#endif

#define ABI_PACKED __attribute__((packed))

#endif
