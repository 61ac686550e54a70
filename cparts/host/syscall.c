/* SPDX-License-Identifier: GPL-2.0-only */
/* Any system call, without errno in between. */
#include "host.h"
#include <sys/syscall.h>

int64_t cr_syscall(int64_t nr, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f)
{
	int64_t ret;
	register int64_t r10 __asm__("r10") = d;
	register int64_t r8 __asm__("r8") = e;
	register int64_t r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

int64_t cr_rewrite(int32_t fd, uint64_t times)
{
	char byte = 0;
	int64_t ret = 0;
	for (uint64_t i = 0; i < times && ret >= 0; i++)
		ret = cr_syscall(SYS_pwrite64, fd, (int64_t)&byte, 1, 0, 0, 0);
	return ret;
}
