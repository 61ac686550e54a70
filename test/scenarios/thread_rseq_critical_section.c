// SPDX-License-Identifier: GPL-2.0-only
// Two threads inside of a restartable sequence at each dump: it is aborted to its handler, with all its registers otherwise
// kept, or goes on; it never ends with the descriptor lost. Own rseq areas are registered still.
// @cflags -pthread
// @busy
// @storm 10
// @skip-mode peer-storm the original loses rseq_cs of threads besides the leader when it leaves them running
// @may-differ stat/flags PF_* of a task that the kernel just interrupted
#include "threads.h"
#include <sys/rseq.h>

enum { SIGNATURE = 0x53053053 };
static struct rseq areas[2] __attribute__((aligned(32)));
static volatile unsigned rseq_stop;
extern struct rseq_cs rseq_descriptor;
unsigned long spin_in_sequence(struct rseq *area, volatile unsigned *stop, unsigned long turns);

// Sets area->rseq_cs and spins to the end of its turns in the sequence; gives rseq_cs as the sequence's last instruction saw
// it, 1 where it was aborted.
asm(".text\n.globl spin_in_sequence\nspin_in_sequence:\n"
    "leaq rseq_descriptor(%rip), %rax\n mov %rax, 8(%rdi)\n"
    "rseq_start: cmpl $0, (%rsi)\n jne 1f\n fldz\n fsqrt\n fstp %st(0)\n dec %rdx\n jnz rseq_start\n"
    "1: mov 8(%rdi), %rax\n"
    "rseq_end: ret\n"
    ".long 0x53053053\n"
    "rseq_abort: mov $1, %eax\n ret\n"
    ".data\n.balign 32\n.globl rseq_descriptor\nrseq_descriptor: .long 0, 0\n"
    ".quad rseq_start, rseq_end - rseq_start, rseq_abort\n.text\n");

static void loop(struct rseq *area)
{
	if (__rseq_size && syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1, RSEQ_SIG) < 0)
		skip("cannot unregister the C library's rseq: %s", strerror(errno));
	if (syscall(SYS_rseq, area, 32, 0, SIGNATURE) < 0)
		skip("rseq: %s", strerror(errno));
	arrive();
	if (area == areas) {
		wait_for_value(&arrived_count, 2);
		ready();
	}
	while (!rseq_stop && !scenario_triggered) {
		volatile unsigned *stop = area == areas ? (volatile unsigned *)&scenario_triggered : &rseq_stop;
		unsigned long seen = spin_in_sequence(area, stop, 10000000);
		if (seen == 1)
			expect("rseq_cs after an abort", 0, *(volatile unsigned long *)&area->rseq_cs);
		else
			expect("rseq_cs at the end of a sequence", (long)&rseq_descriptor, seen);
	}
	expect("registering again", -1, syscall(SYS_rseq, area, 32, 0, SIGNATURE));
	expect("errno of registering again", EBUSY, errno);
	must(syscall(SYS_rseq, area, 32, 1, SIGNATURE));
}

static void *run(void *arg)
{
	loop(arg);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread = start_thread(run, &areas[1]);
	loop(&areas[0]);
	rseq_stop = 1;
	join_thread(thread);
	pass();
}
