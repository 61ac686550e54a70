// SPDX-License-Identifier: GPL-2.0-only
// Pending signals with the siginfo of faults, children, descriptors, timers and system calls keep every byte of it.
// @trigger file
// @skip-mode leave-stopped the SIGCONT that ends the stop stays pending, being blocked
#include "scenario.h"

static const struct kind { int sig, code; } kinds[] = {
	{ SIGSEGV, SEGV_ACCERR }, { SIGBUS, BUS_ADRERR }, { SIGFPE, FPE_INTDIV }, { SIGILL, ILL_PRVOPC },
	{ SIGCHLD, CLD_DUMPED },  { SIGPOLL, POLL_IN },	  { SIGSYS, 1 },	  { SIGALRM, SI_KERNEL },
	{ 43, SI_TIMER }, { 43, SI_MESGQ }, { 43, SI_ASYNCIO }, { 43, SI_SIGIO },
	{ 43, SI_TKILL }, { 43, 1234 }, { 43, -1000000 },
};
enum { N = sizeof(kinds) / sizeof(*kinds), HEADER = 16, KEPT = 48 };

static void make(int i, siginfo_t *info)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = kinds[i].sig;
	info->si_code = kinds[i].code;
	info->si_errno = 70 + i;
	if ((kinds[i].code > 0 && kinds[i].sig < 32) || kinds[i].code == SI_TIMER)
		fill((char *)info + HEADER, 16, i); // the fields that any siginfo layout has; a timer's further one is the kernel's
	else
		fill((char *)info + HEADER, KEPT - HEADER, i);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	must(sigprocmask(SIG_SETMASK, &all, NULL));
	siginfo_t info, before[N];
	for (int i = 0; i < N; i++) {
		make(i, &info);
		must(syscall(SYS_rt_sigqueueinfo, getpid(), kinds[i].sig, &info));
	}
	for (int i = 0; i < N; i++)
		make(i, &before[i]);
	ready();
	wait_for_file();
	for (int i = 0; i < N; i++) {
		sigset_t set;
		struct timespec zero = { 0, 0 };
		char what[48];
		sigemptyset(&set);
		sigaddset(&set, kinds[i].sig);
		memset(&info, 0, sizeof(info));
		snprintf(what, sizeof(what), "siginfo %d of signal %d", i, kinds[i].sig);
		if (syscall(SYS_rt_sigtimedwait, &set, &info, &zero, 8) != kinds[i].sig)
			fail("%s, wanted it pending, got errno %d", what, errno);
		expect_bytes(what, &before[i], &info, kinds[i].code > 0 && kinds[i].sig < 32 ? HEADER + 16 : KEPT);
	}
	pass();
}
