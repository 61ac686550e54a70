// SPDX-License-Identifier: GPL-2.0-only
// Every general register and the direction and carry flags keep their values in a loop that makes no system call.
// @busy
#include "scenario.h"

unsigned long regs_seen[16];
void spin_with_registers(volatile sig_atomic_t *flag, unsigned long *seen);

// Loads N * 0x1111… into each register, spins until *flag, stores what the registers hold then.
asm(".text\n.globl spin_with_registers\nspin_with_registers:\n"
    "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"
    "mov %rdi, %r15\n"
    "movabs $0x1111111111111111, %rax\n movabs $0x2222222222222222, %rbx\n movabs $0x3333333333333333, %rcx\n"
    "movabs $0x4444444444444444, %rdx\n movabs $0x5555555555555555, %rsi\n movabs $0x6666666666666666, %rdi\n"
    "movabs $0x7777777777777777, %rbp\n movabs $0x8888888888888888, %r8\n movabs $0x9999999999999999, %r9\n"
    "movabs $0xaaaaaaaaaaaaaaaa, %r10\n movabs $0xbbbbbbbbbbbbbbbb, %r11\n movabs $0xcccccccccccccccc, %r12\n"
    "movabs $0xdddddddddddddddd, %r13\n movabs $0xeeeeeeeeeeeeeeee, %r14\n"
    "std\n"
    "1: cmpl $0, (%r15)\n je 1b\n"
    "pop %r15\n" // seen
    "mov %rax, 8(%r15)\n mov %rbx, 16(%r15)\n mov %rcx, 24(%r15)\n mov %rdx, 32(%r15)\n mov %rsi, 40(%r15)\n"
    "mov %rdi, 48(%r15)\n mov %rbp, 56(%r15)\n mov %r8, 64(%r15)\n mov %r9, 72(%r15)\n mov %r10, 80(%r15)\n"
    "mov %r11, 88(%r15)\n mov %r12, 96(%r15)\n mov %r13, 104(%r15)\n mov %r14, 112(%r15)\n"
    "pushf\n pop %rax\n mov %rax, 120(%r15)\n cld\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	ready();
	spin_with_registers(&scenario_triggered, regs_seen);
	for (unsigned long i = 1; i <= 14; i++) {
		char what[32];
		snprintf(what, sizeof(what), "register %lu", i);
		expect(what, 0x1111111111111111UL * i, regs_seen[i]);
	}
	expect("direction flag", 0x400, regs_seen[15] & 0x400);
	pass();
}
