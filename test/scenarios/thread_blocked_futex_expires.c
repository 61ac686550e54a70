// SPDX-License-Identifier: GPL-2.0-only
// Waits with limits of 300 ms in threads (futex, condition variable, semaphore) end by their limit, not before it.
// @cflags -pthread
// @busy threads
#include "threads.h"
#include <semaphore.h>

static unsigned word = 3;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition;
static sem_t semaphore;

static void until(struct timespec *at, clockid_t clock)
{
	must(clock_gettime(clock, at));
	at->tv_nsec += 300000000;
	at->tv_sec += at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
}

static void expect_over(const struct timespec *at)
{
	struct timespec now;
	must(clock_gettime(CLOCK_MONOTONIC, &now));
	if (now.tv_sec < at->tv_sec || (now.tv_sec == at->tv_sec && now.tv_nsec < at->tv_nsec))
		fail("end of a wait, wanted at %ld.%09ld, got %ld.%09ld", at->tv_sec, at->tv_nsec, now.tv_sec, now.tv_nsec);
}

static void *run(void *arg)
{
	struct timespec at;
	arrive();
	do {
		until(&at, CLOCK_MONOTONIC);
		if (!arg) {
			long got;
			do
				got = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 3, &at, NULL, FUTEX_BITSET_MATCH_ANY);
			while (got < 0 && errno == EINTR);
			must_be(got == -1 && errno == ETIMEDOUT);
		} else if ((long)arg == 1) {
			must_be(pthread_mutex_lock(&mutex) == 0);
			int got;
			while ((got = pthread_cond_timedwait(&condition, &mutex, &at)) == 0)
				;
			expect("condition variable", ETIMEDOUT, got);
			must_be(pthread_mutex_unlock(&mutex) == 0);
		} else {
			int got;
			while ((got = sem_clockwait(&semaphore, CLOCK_MONOTONIC, &at)) < 0 && errno == EINTR)
				;
			must_be(got == -1 && errno == ETIMEDOUT);
		}
		expect_over(&at);
	} while (!__atomic_load_n(&released_word, __ATOMIC_SEQ_CST));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_condattr_t attr;
	must_be(pthread_condattr_init(&attr) == 0);
	must_be(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must_be(pthread_cond_init(&condition, &attr) == 0);
	must(sem_init(&semaphore, 0, 0));
	pthread_t threads[3];
	for (long i = 0; i < 3; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(3);
	for (int i = 0; i < 3; i++)
		join_thread(threads[i]);
	pass();
}
