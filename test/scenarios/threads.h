// SPDX-License-Identifier: GPL-2.0-only
// What scenario programs with threads share: threads that leave SIGTERM to the main one, arrive at a point and wait there
// for the check. Its own use of the kernel: two futex words. Compile with "@cflags -pthread".
#ifndef THREADS_H
#define THREADS_H
#include "scenario.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>

static unsigned arrived_count, released_word;

__attribute__((unused)) static pid_t own_tid(void)
{
	return syscall(SYS_gettid);
}

__attribute__((unused)) static long futex_wait(unsigned *word, unsigned value)
{
	return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

__attribute__((unused)) static long futex_wake(unsigned *word, int count)
{
	return syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

// Blocks until the word has the value; spurious returns don't count.
__attribute__((unused)) static void wait_for_value(unsigned *word, unsigned value)
{
	unsigned seen;
	while ((seen = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != value)
		futex_wait(word, seen);
}

__attribute__((unused)) static void set_value(unsigned *word, unsigned value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	futex_wake(word, INT_MAX);
}

// Starts a thread that has SIGTERM blocked, so that the trigger is the caller's.
__attribute__((unused)) static pthread_t start_thread(void *(*run)(void *), void *arg)
{
	sigset_t term, old;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, &old);
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, arg);
	if (error)
		fail("pthread_create, wanted success, got errno %d (%s)", error, strerror(error));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return thread;
}

__attribute__((unused)) static void *join_thread(pthread_t thread)
{
	void *result = NULL;
	int error = pthread_join(thread, &result);
	if (error)
		fail("pthread_join, wanted success, got errno %d (%s)", error, strerror(error));
	return result;
}

// In a thread: its set-up is done.
__attribute__((unused)) static void arrive(void)
{
	__atomic_add_fetch(&arrived_count, 1, __ATOMIC_SEQ_CST);
	futex_wake(&arrived_count, INT_MAX);
}

// In a thread: done with the set-up, sleeps until the check.
__attribute__((unused)) static void arrive_and_wait(void)
{
	arrive();
	wait_for_value(&released_word, 1);
}

// In the main thread: all set-ups are done; the trigger is awaited; threads in arrive_and_wait go on.
__attribute__((unused)) static void checkpoint_threads(unsigned threads)
{
	wait_for_value(&arrived_count, threads);
	ready();
	wait_for_trigger();
	set_value(&released_word, 1);
}
#endif
