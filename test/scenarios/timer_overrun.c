// SPDX-License-Identifier: GPL-2.0-only
// A timer that ticks while its signal is blocked has one signal pending, with its overruns; they go on being counted after.
// @trigger file
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t set, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 626 };
	timer_t id;
	must(timer_create(CLOCK_MONOTONIC, &event, &id));
	must(timer_settime(id, 0, &(struct itimerspec){ { 0, 1000000 }, { 0, 1000000 } }, NULL));
	do
		must(sigpending(&pending));
	while (!sigismember(&pending, SIGRTMIN + 1));
	ready();
	wait_for_file();
	struct timespec rest = { 0, 50000000 }, zero = { 0, 0 };
	nanosleep(&rest, NULL);
	siginfo_t info;
	must_be(sigtimedwait(&set, &info, &zero) == SIGRTMIN + 1);
	expect("code", SI_TIMER, info.si_code);
	expect("value", 626, info.si_value.sival_int);
	for (int more = 0; sigtimedwait(&set, &info, &zero) > 0; more++)
		must_be(more < 4); // a restored signal and the timer's own may be there side by side
	nanosleep(&rest, NULL);
	must_be(sigwaitinfo(&set, &info) == SIGRTMIN + 1);
	must_be(info.si_overrun >= 40);
	expect("overrun asked for", info.si_overrun, timer_getoverrun(id));
	must(timer_settime(id, 0, &(struct itimerspec){ { 0, 0 }, { 0, 0 } }, NULL));
	while (sigtimedwait(&set, &info, &zero) > 0)
		;
	expect("after the timer was stopped", -1, sigtimedwait(&set, &info, &rest));
	pass();
}
