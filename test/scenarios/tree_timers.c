// SPDX-License-Identifier: GPL-2.0-only
// Timers of children: an interval timer that ticks, a POSIX timer far off, an alarm far off; none of them the parent's.
// @may-differ (status/(ShdPnd|SigPnd|SigBlk)|stat/(signal|blocked)) a tick may be pending or its handler running
#include "tree.h"
#include <sys/time.h>

static volatile int ticks;
static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static void run(void *arg)
{
	long number = (long)arg;
	timer_t timer;
	signal(SIGALRM, on_tick);
	if (number == 0)
		must(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 20000 }, { 0, 20000 } }, NULL));
	else if (number == 1) {
		must(timer_create(CLOCK_MONOTONIC, NULL, &timer));
		must(timer_settime(timer, 0, &(struct itimerspec){ { 0, 0 }, { 5000, 0 } }, NULL));
	} else {
		alarm(4000);
	}
	arrive_and_wait();
	if (number == 0) {
		int seen = ticks;
		while (ticks < seen + 3)
			pause();
	} else if (number == 1) {
		struct itimerspec left;
		must(timer_gettime(timer, &left));
		must_be(left.it_value.tv_sec > 4900 && left.it_value.tv_sec <= 5000);
	} else {
		unsigned left = alarm(0);
		must_be(left > 3900 && left <= 4000);
	}
	if (number)
		expect("ticks", 0, ticks);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	signal(SIGALRM, on_tick);
	pid_t children[3];
	for (long i = 0; i < 3; i++)
		children[i] = start_child(run, (void *)i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++)
		check_child(children[i]);
	expect("ticks of the root", 0, ticks);
	pass();
}
