// SPDX-License-Identifier: GPL-2.0-only
// Exit code 0: a hardware breakpoint set by ptrace stops a child; 1: it doesn't (some virtual machines); 2: can't tell.
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static __attribute__((noinline, noclone)) void passed(void)
{
	__asm__ volatile("");
}

int main(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		passed();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		return 2;
	if (ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[0]), (void *)passed) < 0 ||
	    ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), (void *)1UL) < 0 ||
	    ptrace(PTRACE_CONT, child, NULL, NULL) < 0 || waitpid(child, &status, 0) != child) {
		kill(child, SIGKILL);
		return 2;
	}
	if (WIFSTOPPED(status)) {
		kill(child, SIGKILL);
		return WSTOPSIG(status) == SIGTRAP ? 0 : 2;
	}
	return 1;
}
