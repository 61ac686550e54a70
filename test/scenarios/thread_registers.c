// SPDX-License-Identifier: GPL-2.0-only
// General registers and flags of two threads, in loops without system calls, hold other values in each.
// @cflags -pthread
// @busy threads
#include "threads.h"

struct seen { unsigned long regs[15], flags; };
void spin(unsigned *flag, struct seen *seen, unsigned long start);

// Register i gets start + i; spins until *flag; stores them all.
asm(".text\nspin:\n push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n mov %rdi, %r15\n"
    "lea 1(%rdx), %rax\n lea 2(%rdx), %rbx\n lea 3(%rdx), %rcx\n lea 5(%rdx), %rsi\n lea 6(%rdx), %rdi\n"
    "lea 7(%rdx), %rbp\n lea 8(%rdx), %r8\n lea 9(%rdx), %r9\n lea 10(%rdx), %r10\n lea 11(%rdx), %r11\n"
    "lea 12(%rdx), %r12\n lea 13(%rdx), %r13\n lea 14(%rdx), %r14\n lea 4(%rdx), %rdx\n std\n"
    "1: pause\n cmpl $0, (%r15)\n je 1b\n pop %r15\n"
    "mov %rax, 8(%r15)\n mov %rbx, 16(%r15)\n mov %rcx, 24(%r15)\n mov %rdx, 32(%r15)\n mov %rsi, 40(%r15)\n"
    "mov %rdi, 48(%r15)\n mov %rbp, 56(%r15)\n mov %r8, 64(%r15)\n mov %r9, 72(%r15)\n mov %r10, 80(%r15)\n"
    "mov %r11, 88(%r15)\n mov %r12, 96(%r15)\n mov %r13, 104(%r15)\n mov %r14, 112(%r15)\n pushf\n pop %rax\n cld\n"
    "mov %rax, 120(%r15)\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");

static void *run(void *arg)
{
	unsigned long start = 0x123456789abcdef0UL * (long)arg;
	struct seen seen;
	memset(&seen, 0, sizeof(seen));
	arrive();
	spin(&released_word, &seen, start);
	for (int i = 1; i < 15; i++)
		expect("register", start + i, seen.regs[i]);
	expect("direction flag", 0x400, seen.flags & 0x400);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2] = { start_thread(run, (void *)1), start_thread(run, (void *)3) };
	checkpoint_threads(2);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
