// SPDX-License-Identifier: GPL-2.0-only
// A timer of the C library's own kind (SIGEV_THREAD, ticking every 10 ms) keeps its interval and goes on calling its function.
// @cflags -pthread
// @busy threads
// @may-differ (tasks|task/.*) the C library starts a thread for each tick
// @may-differ (stat|status)/(num_threads|Threads|vsize|VmSize|VmData) the C library starts a thread for each tick
// @may-differ s?maps/.* stacks of threads come and go
#include "threads.h"

static unsigned ticks, wrong;

static void on_tick(union sigval value)
{
	if (value.sival_int != 3535)
		__atomic_store_n(&wrong, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&ticks, 1, __ATOMIC_SEQ_CST);
}

static void wait_for_ticks(unsigned wanted)
{
	unsigned from = __atomic_load_n(&ticks, __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; __atomic_load_n(&ticks, __ATOMIC_SEQ_CST) - from < wanted; n++) {
		if (n > 10000)
			fail("wanted %u ticks, got fewer in 10 s", wanted);
		nanosleep(&ms, NULL);
	}
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	must(sigprocmask(SIG_BLOCK, &term, NULL)); // for the threads to come as well
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_tick, .sigev_value.sival_int = 3535 };
	timer_t id;
	must(timer_create(CLOCK_MONOTONIC, &event, &id));
	struct itimerspec spec = { { 0, 10000000 }, { 0, 10000000 } };
	must(timer_settime(id, 0, &spec, NULL));
	wait_for_ticks(1);
	ready();
	wait_for_trigger();
	must(timer_gettime(id, &spec));
	expect("interval", 10000000, spec.it_interval.tv_nsec + spec.it_interval.tv_sec * 1000000000);
	wait_for_ticks(3);
	expect("wrong values", 0, wrong);
	pass();
}
