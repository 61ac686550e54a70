// SPDX-License-Identifier: GPL-2.0-only
// Every resource limit, soft and hard, lowered to values of its own.
#include "scenario.h"
#include <sys/resource.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct rlimit want[RLIM_NLIMITS], got;
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		must(getrlimit(i, &want[i]));
		if (i == RLIMIT_NPROC || i == RLIMIT_SIGPENDING) {
			want[i].rlim_cur = want[i].rlim_max - 3;
		} else if (i == RLIMIT_CORE) {
			want[i].rlim_cur = 12345;
		} else if (i == RLIMIT_FSIZE) {
			want[i].rlim_cur = 1UL << 40;
		} else if (i == RLIMIT_CPU) {
			want[i].rlim_cur = 5000, want[i].rlim_max = 6000;
		} else if (want[i].rlim_cur > 1 && want[i].rlim_cur != RLIM_INFINITY) {
			want[i].rlim_cur--;
		}
		if (want[i].rlim_cur > want[i].rlim_max)
			want[i].rlim_cur = want[i].rlim_max;
		must(setrlimit(i, &want[i]));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		char what[32];
		snprintf(what, sizeof(what), "limit %d", i);
		must(getrlimit(i, &got));
		expect(what, want[i].rlim_cur, got.rlim_cur);
		expect(what, want[i].rlim_max, got.rlim_max);
	}
	pass();
}
