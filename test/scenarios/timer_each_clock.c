// SPDX-License-Identifier: GPL-2.0-only
// A ticking timer on every clock: real-time, monotonic, boot-time, TAI, both alarm clocks, CPU time of process and thread.
// @busy
// @may-differ (stat/(blocked|signal)|status/(SigBlk|SigPnd|ShdPnd)) ticks are pending or handled at times
#include "scenario.h"

static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_REALTIME_ALARM,
				    CLOCK_BOOTTIME_ALARM, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
enum { N = sizeof(clocks) / sizeof(*clocks) };
static volatile int ticks[N];

static void on_tick(int sig, siginfo_t *info, void *context)
{
	(void)context;
	expect("signal", SIGRTMIN + info->si_value.sival_int, sig);
	ticks[info->si_value.sival_int]++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	timer_t ids[N];
	int there[N];
	for (int i = 0; i < N; i++) {
		struct sigaction act = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
		must(sigaction(SIGRTMIN + i, &act, NULL));
		struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + i, .sigev_value.sival_int = i };
		there[i] = timer_create(clocks[i], &event, &ids[i]) == 0; // alarm clocks need a real-time clock with alarms
		struct itimerspec spec = { { 0, 20000000 + i * 1000 }, { 0, 20000000 } };
		if (there[i])
			must(timer_settime(ids[i], 0, &spec, NULL));
		else
			must_be(i == 4 || i == 5);
	}
	ready();
	while (!scenario_triggered)
		;
	for (int i = 0; i < N; i++)
		ticks[i] = 0;
	time_t end = time(NULL) + 10;
	for (int missing = 1; missing && time(NULL) < end;) {
		missing = 0;
		for (int i = 0; i < N; i++)
			missing |= there[i] && ticks[i] < 2;
	}
	for (int i = 0; i < N; i++) {
		struct itimerspec spec;
		if (!there[i])
			continue;
		if (ticks[i] < 2)
			fail("timer of clock %d, wanted 2 ticks, got %d in 10 s", clocks[i], ticks[i]);
		must(timer_gettime(ids[i], &spec));
		expect("interval", 20000000 + i * 1000, spec.it_interval.tv_nsec);
	}
	pass();
}
