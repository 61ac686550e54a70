// SPDX-License-Identifier: GPL-2.0-only
// A thread made by a bare clone, without C library: no thread block, no robust list, no rseq, an own small stack.
#include "scenario.h"
#include <linux/futex.h>
#include <linux/sched.h>

unsigned raw_go, raw_word, raw_result;
static char stack[16384] __attribute__((aligned(16)));
int start_raw(unsigned long flags, void *stack, unsigned *tid);

// The thread waits on raw_go by futex, keeps a value in rbx, checks it into raw_result, then exits.
asm(".text\n.globl start_raw\nstart_raw:\n"
    "mov %rdx, %r10\n mov %rdx, %r9\n xor %r8d, %r8d\n mov $56, %eax\n syscall\n" // clone(flags, stack, ptid, ctid, tls)
    "test %rax, %rax\n jz 1f\n ret\n"
    "1: movabs $0x1234567890, %rbx\n"
    "2: lea raw_go(%rip), %rdi\n mov $128, %esi\n xor %edx, %edx\n xor %r10d, %r10d\n mov $202, %eax\n syscall\n"
    "cmpl $0, raw_go(%rip)\n je 2b\n"
    "movabs $0x1234567890, %rcx\n cmp %rcx, %rbx\n jne 3f\n movl $77, raw_result(%rip)\n"
    "3: mov $60, %eax\n xor %edi, %edi\n syscall\n hlt\n");

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t all, old;
	sigfillset(&all);
	must(sigprocmask(SIG_BLOCK, &all, &old));
	unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_SETTLS;
	int tid = start_raw(flags, stack + sizeof(stack), &raw_word);
	must_be(tid > 0);
	must(sigprocmask(SIG_SETMASK, &old, NULL));
	ready();
	wait_for_trigger();
	expect("thread id word", tid, raw_word);
	raw_go = 1;
	syscall(SYS_futex, &raw_go, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	unsigned seen;
	while ((seen = __atomic_load_n(&raw_word, __ATOMIC_SEQ_CST)))
		syscall(SYS_futex, &raw_word, FUTEX_WAIT, seen, NULL, NULL, 0);
	expect("register of the thread", 77, raw_result);
	pass();
}
