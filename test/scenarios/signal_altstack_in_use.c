// SPDX-License-Identifier: GPL-2.0-only
// A program inside of a handler on its alternate stack, which it returns from after the restore.
#include "scenario.h"

static char stack[65536 - 8] __attribute__((aligned(16)));
static int in_handler, left_handler;

static void handler(int sig)
{
	(void)sig;
	char local[4096];
	fill(local, sizeof(local), 12);
	in_handler = 1;
	ready();
	wait_for_trigger();
	stack_t now;
	must(sigaltstack(NULL, &now));
	expect("flags inside", SS_ONSTACK, now.ss_flags);
	expect("address inside", (long)stack, (long)now.ss_sp);
	must_be(&local[0] >= &stack[0] && &local[0] < &stack[sizeof(stack)]);
	expect_fill("local data", local, sizeof(local), 12);
	left_handler = 1;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) }, now;
	must(sigaltstack(&ss, NULL));
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	sigaddset(&act.sa_mask, SIGUSR2);
	must(sigaction(SIGUSR1, &act, NULL));
	volatile int before = 4321;
	must(raise(SIGUSR1));
	expect("in the handler", 1, in_handler);
	expect("left the handler", 1, left_handler);
	expect("local of main", 4321, before);
	must(sigaltstack(NULL, &now));
	expect("flags outside", 0, now.ss_flags);
	expect("size", sizeof(stack), now.ss_size);
	sigset_t mask;
	must(sigprocmask(SIG_SETMASK, NULL, &mask));
	expect("SIGUSR2 blocked outside", 0, sigismember(&mask, SIGUSR2));
	pass();
}
