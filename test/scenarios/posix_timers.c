// SPDX-License-Identifier: GPL-2.0-only
// POSIX timers of several clocks and kinds of notice, with gaps in their ids, keep id, setting and remaining time.
#include "scenario.h"

static struct timer {
	clockid_t clock;
	int notify, sig;
	long value, interval;
	int id;
} timers[] = {
	{ CLOCK_REALTIME, SIGEV_SIGNAL, 10, 2000, 0, 0 },
	{ CLOCK_MONOTONIC, SIGEV_SIGNAL, 12, 3000, 7, 0 },
	{ CLOCK_BOOTTIME, SIGEV_NONE, 0, 4000, 0, 0 },
	{ CLOCK_MONOTONIC, SIGEV_THREAD_ID, 40, 5000, 60, 0 },
	{ CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, 41, 6000, 1, 0 },
	{ CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, 42, 7000, 0, 0 },
	{ CLOCK_REALTIME, SIGEV_NONE, 0, 0, 0, 0 }, // never armed
};
enum { N = sizeof(timers) / sizeof(*timers) };

static int create(clockid_t clock, int notify, int sig, void *value)
{
	struct {
		union sigval value;
		int sig, notify, tid, pad[11];
	} event = { { .sival_ptr = value }, sig, notify, syscall(SYS_gettid), { 0 } };
	int id = -1;
	must(syscall(SYS_timer_create, clock, &event, &id));
	return id;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (int i = 0; i < N; i++) {
		int gap[3];
		for (int g = 0; g < 3; g++)
			gap[g] = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL);
		timers[i].id = create(timers[i].clock, timers[i].notify, timers[i].sig, (void *)(0xabc0000000 + i));
		for (int g = 0; g < 3; g++)
			must(syscall(SYS_timer_delete, gap[g]));
		struct itimerspec spec = { .it_value = { timers[i].value, 0 }, .it_interval = { timers[i].interval, 0 } };
		must(syscall(SYS_timer_settime, timers[i].id, 0, &spec, NULL));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		struct itimerspec spec;
		memset(&spec, 0, sizeof(spec));
		must(syscall(SYS_timer_gettime, timers[i].id, &spec));
		expect("interval", timers[i].interval, spec.it_interval.tv_sec);
		if (timers[i].value == 0)
			expect("unarmed timer", 0, spec.it_value.tv_sec + spec.it_value.tv_nsec);
		else if (spec.it_value.tv_sec > timers[i].value || spec.it_value.tv_sec < timers[i].value - 60)
			fail("timer %d, wanted about %ld s, got %ld", i, timers[i].value, (long)spec.it_value.tv_sec);
	}
	pass();
}
