// SPDX-License-Identifier: GPL-2.0-only
// A ticking POSIX timer goes on ticking after the restore, with its value, and its overrun count works.
// @may-differ (stat/(blocked|signal)|status/(SigBlk|SigPnd|ShdPnd)) ticks are pending or handled at times
#include "scenario.h"

static volatile int fired, value;
static void on_timer(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	fired++;
	value = info->si_value.sival_int;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART };
	must(sigaction(SIGRTMIN + 4, &act, NULL));
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 4, .sigev_value.sival_int = 9191 };
	timer_t id;
	must(timer_create(CLOCK_MONOTONIC, &event, &id));
	struct itimerspec spec = { { 0, 5000000 }, { 0, 5000000 } };
	must(timer_settime(id, 0, &spec, NULL));
	ready();
	wait_for_trigger();
	fired = 0;
	time_t end = time(NULL) + 10;
	while (fired < 3 && time(NULL) < end)
		pause();
	must_be(fired >= 3);
	expect("value", 9191, value);
	struct itimerspec now;
	must(timer_gettime(id, &now));
	expect("interval", 5000000, now.it_interval.tv_nsec);
	sigset_t block;
	sigemptyset(&block);
	sigaddset(&block, SIGRTMIN + 4);
	must(sigprocmask(SIG_BLOCK, &block, NULL));
	struct timespec wait = { 0, 60000000 };
	nanosleep(&wait, NULL);
	siginfo_t info;
	must_be(sigwaitinfo(&block, &info) == SIGRTMIN + 4);
	must_be(info.si_overrun >= 1 && timer_getoverrun(id) >= 1);
	pass();
}
