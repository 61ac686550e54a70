// SPDX-License-Identifier: GPL-2.0-only
// A program without threads that lives in a restartable sequence: at each dump it's aborted to its handler or goes on in it
// with rseq_cs in force; it never goes on in it with rseq_cs lost.
// @busy
// @storm 10
#include "scenario.h"
#include <sys/rseq.h>

enum { SIGNATURE = 0x53053053 };
static struct rseq area __attribute__((aligned(32)));
extern struct rseq_cs rseq_descriptor;
unsigned long spin_in_sequence(struct rseq *area, volatile sig_atomic_t *stop);

// Sets area->rseq_cs and spins in the sequence until *stop; gives rseq_cs as its last instruction saw it, 1 when aborted.
asm(".text\n.globl spin_in_sequence\nspin_in_sequence:\n"
    "leaq rseq_descriptor(%rip), %rax\n mov %rax, 8(%rdi)\n"
    "rseq_start: cmpl $0, (%rsi)\n je rseq_start\n mov 8(%rdi), %rax\n"
    "rseq_end: ret\n"
    ".long 0x53053053\n"
    "rseq_abort: mov $1, %eax\n ret\n"
    ".data\n.balign 32\n.globl rseq_descriptor\nrseq_descriptor: .long 0, 0\n"
    ".quad rseq_start, rseq_end - rseq_start, rseq_abort\n.text\n");

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (__rseq_size && syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1, RSEQ_SIG) < 0)
		skip("cannot unregister the C library's rseq: %s", strerror(errno));
	if (syscall(SYS_rseq, &area, 32, 0, SIGNATURE) < 0)
		skip("rseq: %s", strerror(errno));
	ready();
	while (!scenario_triggered) {
		unsigned long seen = spin_in_sequence(&area, &scenario_triggered);
		if (seen != 1)
			expect("rseq_cs at the end of the sequence", (long)&rseq_descriptor, seen);
	}
	expect("registering again", -1, syscall(SYS_rseq, &area, 32, 0, SIGNATURE));
	expect("errno of registering again", EBUSY, errno);
	pass();
}
