// SPDX-License-Identifier: GPL-2.0-only
// A filter that looks at the architecture, both halves of arguments and the instruction pointer, with scratch memory,
// arithmetic and a trap, whose siginfo tells the call.
#include "seccomp.h"

static volatile siginfo_t trapped;
static void on_sys(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	trapped = *info;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4)
#define ANSWER(n) BPF_STMT(BPF_RET | BPF_K, (n))

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	must(sigaction(SIGSYS, &act, NULL));
	struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		ANSWER(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3000, 1, 0),
		ANSWER(SECCOMP_RET_ALLOW),
		LOAD(args[0]), // low half of the first and high half of the second, added by way of scratch memory
		BPF_STMT(BPF_ST, 5),
		LOAD_HIGH(1),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_MEM, 5),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1000, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1),
		ANSWER(SECCOMP_RET_TRAP | 99),
		ANSWER(SECCOMP_RET_ERRNO | 1111),
	};
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(install_filter(code, sizeof(code) / sizeof(*code), 0));
	ready();
	wait_for_trigger();
	expect_errno("even sum", 1111, 3000, 0x7f00000004, 0x600000000);
	expect("signals", 0, trapped.si_signo);
	syscall(3000, 0x7f00000004, 0x700000000, 0, 0, 0, 0);
	expect("signal", SIGSYS, trapped.si_signo);
	expect("its code", 1 /* SYS_SECCOMP */, trapped.si_code);
	expect("its data", 99, trapped.si_errno);
	expect("its call", 3000, trapped.si_syscall);
	expect("its architecture", AUDIT_ARCH_X86_64, trapped.si_arch);
	memset((void *)&trapped, 0, sizeof(trapped));
	expect_errno("great sum", 1111, 3000, 2000, 0);
	expect("signals", 0, trapped.si_signo);
	pass();
}
