// SPDX-License-Identifier: GPL-2.0-only
// Alternate stacks of each thread: one in use inside of a handler, an odd size, a disarming one, none at all.
// @cflags -pthread
#include "threads.h"
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { SIZE = 65536 };
static char stacks[4][SIZE] __attribute__((aligned(16)));
static int handled[2];

static void expect_on_stack(char *stack, size_t size)
{
	stack_t now;
	char local[2000];
	must(sigaltstack(NULL, &now));
	expect("flags in the handler", SS_ONSTACK, now.ss_flags);
	expect("address in the handler", (long)stack, (long)now.ss_sp);
	expect("size in the handler", size, now.ss_size);
	must_be(local > stack && local < stack + size);
}

static void on_usr2(int sig)
{
	(void)sig;
	char local[5000];
	fill(local, sizeof(local), 77);
	arrive_and_wait();
	expect_on_stack(stacks[1], SIZE);
	expect_fill("data on the alternate stack", local, sizeof(local), 77);
	handled[1] = 1;
}

static void on_usr1(int sig)
{
	(void)sig;
	expect_on_stack(stacks[0], SIZE - 8);
	handled[0] = 1;
}

static void expect_stack(const char *who, const stack_t *wanted)
{
	stack_t now;
	must(sigaltstack(NULL, &now));
	expect(who, wanted->ss_flags, now.ss_flags);
	if (wanted->ss_flags & SS_DISABLE)
		return;
	expect(who, (long)wanted->ss_sp, (long)now.ss_sp);
	expect(who, wanted->ss_size, now.ss_size);
}

static void *run_in_handler(void *arg)
{
	stack_t ss = { .ss_sp = stacks[1], .ss_size = SIZE };
	must(sigaltstack(&ss, NULL));
	volatile long before = 0x77001;
	must(syscall(SYS_tgkill, getpid(), own_tid(), SIGUSR2));
	expect("the handler came back", 1, handled[1]);
	expect("local variable under the handler", 0x77001, before);
	expect_stack("stack after the handler", &ss);
	return arg;
}

static void *run_idle(void *arg)
{
	stack_t ss = { .ss_sp = stacks[2] + 16, .ss_size = 20001, .ss_flags = SS_AUTODISARM };
	if (arg)
		must(sigaltstack(&ss, NULL));
	else
		ss.ss_flags = SS_DISABLE;
	arrive_and_wait();
	expect_stack(arg ? "disarming stack" : "no stack", &ss);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_usr1, .sa_flags = SA_ONSTACK };
	must(sigaction(SIGUSR1, &act, NULL));
	act.sa_handler = on_usr2;
	must(sigaction(SIGUSR2, &act, NULL));
	stack_t ss = { .ss_sp = stacks[0], .ss_size = SIZE - 8 };
	must(sigaltstack(&ss, NULL));
	pthread_t threads[3] = { start_thread(run_in_handler, NULL), start_thread(run_idle, "armed"), start_thread(run_idle, NULL) };
	checkpoint_threads(3);
	for (int i = 0; i < 3; i++)
		join_thread(threads[i]);
	must(syscall(SYS_tgkill, getpid(), own_tid(), SIGUSR1));
	expect("the main thread's handler", 1, handled[0]);
	expect_stack("main thread's stack", &ss);
	pass();
}
