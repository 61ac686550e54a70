// SPDX-License-Identifier: GPL-2.0-only
// 300 POSIX timers with gaps in their ids: every one is found under its id with its own interval; no id in a gap exists.
#include "scenario.h"

enum { N = 300 };

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static int ids[N];
	static char used[4 * N + 64];
	int gap = -1;
	for (int i = 0; i < N; i++) {
		struct sigevent event = { .sigev_notify = i % 3 ? SIGEV_NONE : SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 };
		must(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &ids[i]));
		for (int g = 0; g < i % 4; g++) {
			must(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &gap));
			must(syscall(SYS_timer_delete, gap));
		}
		struct itimerspec spec = { { 1000 + i, i }, { 50000 + i, 0 } };
		if (i % 5)
			must(syscall(SYS_timer_settime, ids[i], 0, &spec, NULL));
		must_be(ids[i] >= 0 && ids[i] < (int)sizeof(used));
		used[ids[i]] = 1;
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		struct itimerspec spec;
		memset(&spec, 0, sizeof(spec));
		must(syscall(SYS_timer_gettime, ids[i], &spec));
		expect("interval", i % 5 ? 1000 + i : 0, spec.it_interval.tv_sec);
		expect("interval's fraction", i % 5 ? i : 0, spec.it_interval.tv_nsec);
		if (i % 5 && (spec.it_value.tv_sec > 50000 + i || spec.it_value.tv_sec < 50000 + i - 60))
			fail("timer %d, wanted about %d s left, got %ld", i, 50000 + i, (long)spec.it_value.tv_sec);
	}
	for (int id = 0; id < (int)sizeof(used); id++) {
		struct itimerspec spec;
		if (!used[id])
			expect("asking for a timer that never was", -1, syscall(SYS_timer_gettime, id, &spec));
	}
	pass();
}
