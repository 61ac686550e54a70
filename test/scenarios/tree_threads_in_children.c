// SPDX-License-Identifier: GPL-2.0-only
// A child with two threads, each of which has a thread-local text and has forked a child that has inherited it: children of
// other threads than the leader.
// @cflags -pthread
#include "tree.h"
#include <pthread.h>

static __thread char text[16];
static volatile pid_t forked[2];
static volatile int arrived, released;

static void expect_own_text(long number)
{
	char wanted[16];
	snprintf(wanted, sizeof(wanted), "thread %ld", number);
	expect_text("thread-local text", wanted, text);
}

static void *work(void *arg)
{
	long number = (long)arg;
	snprintf(text, sizeof(text), "thread %ld", number);
	pid_t child = must(fork());
	if (child == 0) {
		wait_for_check();
		expect_own_text(number);
		_exit(30 + number);
	}
	forked[number] = child;
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	while (!released)
		usleep(2000);
	expect_own_text(number);
	if (number == 0) { // its own child, waited for here; the other one by the leader
		must(kill(child, SIGUSR1));
		expect_exit(child, 30);
	}
	return arg;
}

static void run(void *arg)
{
	(void)arg;
	pthread_t threads[2];
	for (long i = 0; i < 2; i++)
		must_be(pthread_create(threads + i, NULL, work, (void *)i) == 0);
	while (arrived < 2)
		usleep(1000);
	for (int i = 0; i < 2; i++)
		await_asleep(forked[i]);
	arrive_and_wait();
	released = 1;
	for (int i = 0; i < 2; i++)
		must_be(pthread_join(threads[i], NULL) == 0);
	must(kill(forked[1], SIGUSR1));
	expect_exit(forked[1], 31);
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
