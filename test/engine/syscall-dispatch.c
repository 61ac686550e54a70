// SPDX-License-Identifier: GPL-2.0-only
// Has all of its system calls handed back to it, without a handler: any is its end. It makes none, says so, and goes on.
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static volatile char selector;

int main(void)
{
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) < 0) {
		(void)!write(1, "missing\n", 8);
		return 0;
	}
	(void)!write(1, "ready\n", 6);
	selector = 1;
	for (;;)
		__builtin_ia32_pause();
}
