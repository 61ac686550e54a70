// SPDX-License-Identifier: GPL-2.0-only
// The signal of a POSIX timer that has fired while blocked is pending still, with its value.
// @trigger file
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 515 };
	timer_t id;
	must(timer_create(CLOCK_MONOTONIC, &event, &id));
	struct itimerspec spec = { .it_value = { 0, 1 } };
	must(timer_settime(id, 0, &spec, NULL));
	sigset_t pending;
	do
		must(sigpending(&pending));
	while (!sigismember(&pending, SIGRTMIN + 1));
	ready();
	wait_for_file();
	siginfo_t info;
	struct timespec zero = { 0, 0 };
	must(sigtimedwait(&set, &info, &zero));
	expect("code", SI_TIMER, info.si_code);
	expect("value", 515, info.si_value.sival_int);
	expect("second one", -1, sigtimedwait(&set, &info, &zero));
	pass();
}
