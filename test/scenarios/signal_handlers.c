// SPDX-License-Identifier: GPL-2.0-only
// Signal dispositions of every kind: handlers with each flag and mask, ignored, default; and they work.
#include "scenario.h"

struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static volatile int seen, seen_value;
static uintptr_t seen_stack;
static void handler(int sig)
{
	seen = sig;
}
static void info_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	seen = sig;
	seen_value = info->si_value.sival_int;
	seen_stack = (uintptr_t)__builtin_frame_address(0);
}

static void get_action(int sig, struct kernel_action *to)
{
	memset(to, 0, sizeof(*to));
	must(syscall(SYS_rt_sigaction, sig, NULL, to, 8));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static char stack[65536];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	must(sigaltstack(&ss, NULL));
	const int flags[] = { 0, SA_RESTART, SA_NODEFER, SA_RESETHAND, SA_ONSTACK | SA_SIGINFO, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO };
	static struct kernel_action before[65], after;
	for (int sig = 1; sig <= 64; sig++) {
		if (sig == SIGTRAP || sig == SIGKILL || sig == SIGSTOP || sig == SIGTERM || sig == 32 || sig == 33)
			continue;
		struct sigaction act = { .sa_flags = flags[sig % 8] };
		act.sa_handler = sig % 5 == 0 ? SIG_IGN : sig % 7 == 0 ? SIG_DFL : handler;
		if (act.sa_handler == handler && (act.sa_flags & SA_SIGINFO))
			act.sa_sigaction = info_handler;
		sigaddset(&act.sa_mask, sig % 64 + 1);
		sigaddset(&act.sa_mask, SIGUSR2);
		must(sigaction(sig, &act, NULL));
	}
	for (int sig = 1; sig <= 64; sig++)
		get_action(sig, &before[sig]);
	ready();
	wait_for_trigger();
	for (int sig = 1; sig <= 64; sig++) {
		get_action(sig, &after);
		char what[64];
		snprintf(what, sizeof(what), "handler of %d", sig);
		expect(what, (long)before[sig].handler, (long)after.handler);
		snprintf(what, sizeof(what), "flags of %d", sig);
		expect(what, before[sig].flags, after.flags);
		snprintf(what, sizeof(what), "mask of %d", sig);
		expect(what, before[sig].mask, after.mask);
		snprintf(what, sizeof(what), "restorer of %d", sig);
		expect(what, (long)before[sig].restorer, (long)after.restorer);
	}
	must(kill(getpid(), SIGHUP)); // 1: SA_RESTART
	expect("delivered", SIGHUP, seen);
	must(sigqueue(getpid(), 36, (union sigval){ .sival_int = 4711 })); // 36 % 8 == 4: on the alternate stack
	expect("delivered", 36, seen);
	expect("its value", 4711, seen_value);
	must_be(seen_stack >= (uintptr_t)stack && seen_stack < (uintptr_t)stack + sizeof(stack));
	pass();
}
