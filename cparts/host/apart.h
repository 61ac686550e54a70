/* SPDX-License-Identifier: GPL-2.0-only */
/* A child that borrows our memory, as vfork's does, and runs one function of ours on a stack of its own. It has its own
 * descriptors, makes system calls only, and doesn't end when we are killed. */
#ifndef CR_APART_H
#define CR_APART_H
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>

/* Returns in the parent only, when the child has ended or executed a program. The entry's return ends the child. */
static inline int64_t run_apart(struct clone_args *args, void (*entry)(void *, const void *), void *first, const void *second)
{
	int64_t pid;
	/* The child's frames must not touch ours: it starts on its own stack, right behind the system call. */
	register int64_t r8 __asm__("r8") = (int64_t)first;
	register int64_t r9 __asm__("r9") = (int64_t)second;
	register int64_t r10 __asm__("r10") = (int64_t)entry;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r8, %%rdi\n\t"
			 "mov %%r9, %%rsi\n\t"
			 "call *%%r10\n\t"
			 "mov $60, %%eax\n\t"
			 "mov $127, %%edi\n\t"
			 "syscall\n\t"
			 "1:"
			 : "=a"(pid)
			 : "a"((int64_t)SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(r8), "r"(r9), "r"(r10)
			 : "rcx", "r11", "memory", "rdx");
	return pid;
}
#endif
