// SPDX-License-Identifier: GPL-2.0-only
// In two threads handlers are nested five deep, on the normal and the alternate stack, each with a mask of its own;
// all return in order, with masks and data as they were.
// @cflags -pthread
#include "threads.h"

enum { DEPTH = 5, SIZE = 256 << 10 };
static char stacks[2][SIZE];
static __thread int depth, returned;
static __thread sigset_t masks[DEPTH + 1];

static void expect_mask(int level)
{
	sigset_t now;
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
	for (int sig = 1; sig <= 64; sig++)
		expect("mask of a nested handler", sigismember(&masks[level], sig), sigismember(&now, sig));
}

static void descend(int level)
{
	char local[3000];
	double floats[4] = { level + 0.1, level * 3.7, 1.0 / (level + 1), -level };
	fill(local, sizeof(local), level);
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &masks[level]) == 0);
	if (level == DEPTH)
		arrive_and_wait();
	else
		must(syscall(SYS_tgkill, getpid(), own_tid(), SIGRTMIN + 5 + level));
	expect("handlers returned", DEPTH - level, returned);
	expect_mask(level);
	expect_fill("local data of a nested handler", local, sizeof(local), level);
	must_be(floats[1] == level * 3.7 && floats[0] == level + 0.1);
}

static void on_signal(int sig)
{
	expect("order of handlers", SIGRTMIN + 5 + depth, sig);
	depth++;
	descend(depth);
	returned++;
}

static void *run(void *arg)
{
	stack_t ss = { .ss_sp = stacks[(long)arg], .ss_size = SIZE };
	must(sigaltstack(&ss, NULL));
	descend(0);
	expect("depth", DEPTH, depth);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (int i = 0; i < DEPTH; i++) {
		struct sigaction act = { .sa_handler = on_signal, .sa_flags = (i % 2 ? SA_ONSTACK : 0) | (i == 2 ? SA_NODEFER : 0) };
		sigaddset(&act.sa_mask, SIGUSR1);
		sigaddset(&act.sa_mask, SIGRTMIN + 20 + i);
		must(sigaction(SIGRTMIN + 5 + i, &act, NULL));
	}
	pthread_t threads[2] = { start_thread(run, (void *)0), start_thread(run, (void *)1) };
	checkpoint_threads(2);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
