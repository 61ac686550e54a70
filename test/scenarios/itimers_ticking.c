// SPDX-License-Identifier: GPL-2.0-only
// Interval timers of all three clocks that tick every few milliseconds go on ticking.
// @busy
// @may-differ status/(ShdPnd|SigPnd)|stat/signal ticks are pending at times, as they come
// @may-differ (stat/blocked|status/SigBlk) a tick's handler may be running
#include "scenario.h"
#include <sys/time.h>

static volatile int ticks[3];
static void on_tick(int sig)
{
	ticks[sig == SIGALRM ? 0 : sig == SIGVTALRM ? 1 : 2]++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int which[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF }, signals[] = { SIGALRM, SIGVTALRM, SIGPROF };
	for (int i = 0; i < 3; i++) {
		struct sigaction act = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
		must(sigaction(signals[i], &act, NULL));
		struct itimerval t = { { 0, 10000 }, { 0, 10000 } };
		must(setitimer(which[i], &t, NULL));
	}
	ready();
	while (!scenario_triggered)
		;
	for (int i = 0; i < 3; i++)
		ticks[i] = 0;
	time_t end = time(NULL) + 10;
	while ((!ticks[0] || !ticks[1] || !ticks[2]) && time(NULL) < end)
		;
	for (int i = 0; i < 3; i++)
		must_be(ticks[i] > 0);
	pass();
}
