// SPDX-License-Identifier: GPL-2.0-only
// 1,000 threads, each with its id, thread-local data, mask and name.
// @cflags -pthread
#include "threads.h"
#include <sys/prctl.h>

enum { N = 1000 };
static pid_t tids[N];
static __thread unsigned char mark[64];

static void make_name(long i, char *name)
{
	snprintf(name, 16, "t%03d-of-1000", (int)(i % 1000));
}

static void *run(void *arg)
{
	long i = (long)arg;
	char name[16], got[16];
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN + i % 30);
	must_be(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
	make_name(i, name);
	must(prctl(PR_SET_NAME, name));
	fill(mark, sizeof(mark), i);
	tids[i] = own_tid();
	arrive_and_wait();
	expect("thread id", tids[i], own_tid());
	must(prctl(PR_GET_NAME, got));
	expect_text("name", name, got);
	unsigned char wanted[sizeof(mark)];
	fill(wanted, sizeof(wanted), i);
	expect_bytes("thread-local data", wanted, mark, sizeof(mark));
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
	for (int sig = SIGRTMIN; sig < SIGRTMIN + 30; sig++)
		expect("mask", sig == SIGRTMIN + i % 30, sigismember(&set, sig));
	return (void *)(i + 1);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_attr_t attr;
	pthread_t threads[N];
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	must_be(pthread_attr_init(&attr) == 0);
	must_be(pthread_attr_setstacksize(&attr, 64 << 10) == 0);
	must_be(pthread_sigmask(SIG_BLOCK, &term, NULL) == 0);
	for (long i = 0; i < N; i++)
		must_be(pthread_create(&threads[i], &attr, run, (void *)i) == 0);
	must_be(pthread_sigmask(SIG_UNBLOCK, &term, NULL) == 0);
	checkpoint_threads(N);
	for (long i = 0; i < N; i++)
		expect("result", i + 1, (long)join_thread(threads[i]));
	pass();
}
