// SPDX-License-Identifier: GPL-2.0-only
// Threads asleep in nanosleep and in clock_nanosleep, relative and until a time: told EINTR at most, with the time left.
// @cflags -pthread
#include "threads.h"

enum { N = 3, HOUR = 3600 };

static void on_usr1(int sig)
{
	(void)sig;
}

static void *run(void *arg)
{
	long i = (long)arg;
	struct timespec want = { HOUR, 0 }, left = { -1, -1 }, now;
	must(clock_gettime(CLOCK_MONOTONIC, &now));
	if (i == 2)
		want.tv_sec += now.tv_sec;
	arrive();
	while (!__atomic_load_n(&released_word, __ATOMIC_SEQ_CST)) {
		int error = i == 0 ? (nanosleep(&want, &left) < 0 ? errno : 0) :
			i == 1 ? clock_nanosleep(CLOCK_MONOTONIC, 0, &want, &left) :
				 clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &want, NULL);
		expect("error of the sleep", EINTR, error);
		if (i < 2 && (left.tv_sec > HOUR || left.tv_sec < HOUR - 120))
			fail("time left, wanted about an hour, got %ld s", (long)left.tv_sec);
		if (i < 2)
			want = left;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_usr1 };
	must(sigaction(SIGUSR1, &act, NULL));
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	for (long i = 0; i < N; i++) {
		struct timespec ms = { 0, 1000000 };
		while (pthread_tryjoin_np(threads[i], NULL)) {
			pthread_kill(threads[i], SIGUSR1);
			nanosleep(&ms, NULL);
		}
	}
	pass();
}
