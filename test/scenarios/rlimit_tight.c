// SPDX-License-Identifier: GPL-2.0-only
// Limits that are tighter than what the program already has: memory, data, files, stack. Restoring must not trip over them.
#include "scenario.h"
#include <sys/resource.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *at = must(mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, 1 << 20, 3);
	int high = must(fcntl(scenario_out, F_DUPFD, 200));
	const int which[] = { RLIMIT_DATA, RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_MEMLOCK };
	const rlim_t soft[] = { 1 << 20, 10, 1 << 20, 0 };
	for (int i = 0; i < 4; i++) {
		struct rlimit r;
		must(getrlimit(which[i], &r));
		r.rlim_cur = soft[i];
		must(setrlimit(which[i], &r));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < 4; i++) {
		struct rlimit r;
		must(getrlimit(which[i], &r));
		expect("soft limit", soft[i], r.rlim_cur);
	}
	must(fcntl(high, F_GETFD));
	char *wanted = malloc(0);
	(void)wanted;
	struct rlimit data;
	must(getrlimit(RLIMIT_DATA, &data));
	data.rlim_cur = data.rlim_max;
	must(setrlimit(RLIMIT_DATA, &data));
	expect_fill("memory", at, 1 << 20, 3);
	pass();
}
