/* SPDX-License-Identifier: GPL-2.0-only */
/* The cpuid instruction, for sizes and places of XSAVE components. */
#include "host.h"

#include <cpuid.h>

/* Writes eax, ebx, ecx, edx to out[4]. */
int64_t cr_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *out)
{
	__cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
	return 0;
}
