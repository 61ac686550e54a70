// SPDX-License-Identifier: GPL-2.0-only
// One-shot timers 25 days ahead, with gaps in their ids: what is gone from each is what the program's clock says, no more, and
// no less than the time outside of the checkpoints.
#include "scenario.h"

static const struct { clockid_t clock; int sig; void *value; } kinds[] = {
	{ CLOCK_REALTIME, SIGUSR1, (void *)0x1234 }, { CLOCK_MONOTONIC, SIGUSR2, NULL }, { CLOCK_BOOTTIME, SIGPROF, (void *)-1L },
};
enum { N = 3, LIMIT_MS = 2147483647 };

static long long read_ms(clockid_t clock)
{
	struct timespec now;
	must(clock_gettime(clock, &now));
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t set;
	sigemptyset(&set);
	timer_t ids[N], gap[10];
	long long start[N], left[N];
	for (int i = 0; i < N; i++)
		sigaddset(&set, kinds[i].sig);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < N; i++) {
		struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = kinds[i].sig, .sigev_value.sival_ptr = kinds[i].value };
		for (int g = 0; g < 10; g++)
			must(timer_create(CLOCK_MONOTONIC, &event, &gap[g]));
		must(timer_create(kinds[i].clock, &event, &ids[i]));
		for (int g = 0; g < 10; g++)
			must(timer_delete(gap[g]));
		struct itimerspec spec = { .it_value = { LIMIT_MS / 1000, LIMIT_MS % 1000 * 1000000L } };
		start[i] = read_ms(kinds[i].clock);
		must(timer_settime(ids[i], 0, &spec, NULL));
	}
	struct timespec rest = { 0, 300000000 };
	nanosleep(&rest, NULL); // a lost setting would be off by this
	long long outside = 300;
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		struct itimerspec spec;
		must(timer_gettime(ids[i], &spec));
		long long passed = read_ms(kinds[i].clock) - start[i] + 20;
		left[i] = spec.it_value.tv_sec * 1000LL + spec.it_value.tv_nsec / 1000000;
		expect("interval", 0, spec.it_interval.tv_sec + spec.it_interval.tv_nsec);
		if (left[i] > LIMIT_MS - outside + 20 || left[i] < LIMIT_MS - passed)
			fail("timer %d, wanted %lld to %lld ms gone, got %lld", i, outside, passed, LIMIT_MS - left[i]);
		must(timer_settime(ids[i], 0, &(struct itimerspec){ .it_value = { 0, 1 } }, NULL));
		siginfo_t info;
		sigset_t one;
		sigemptyset(&one);
		sigaddset(&one, kinds[i].sig);
		must_be(sigwaitinfo(&one, &info) == kinds[i].sig);
		expect("code", SI_TIMER, info.si_code);
		expect("value", (long)kinds[i].value, (long)info.si_value.sival_ptr);
	}
	pass();
}
