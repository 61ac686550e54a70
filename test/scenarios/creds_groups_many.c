// SPDX-License-Identifier: GPL-2.0-only
// As many supplementary groups as the kernel allows (65,536), none missing.
// @skip-peer CRIU 4.1.1 cannot read a line of /proc/PID/status that long
#include "scenario.h"
#include <grp.h>

enum { N = 65536 };
static gid_t groups[N], got[N + 1];

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (int i = 0; i < N; i++)
		groups[i] = 1000 + i * 65000u;
	if (setgroups(N, groups) < 0)
		skip("setgroups: %s", strerror(errno));
	must_be(getgroups(N, groups) == N);
	ready();
	wait_for_trigger();
	expect("number of groups", N, getgroups(N + 1, got));
	for (int i = 0; i < N; i++)
		expect("group", groups[i], got[i]);
	pass();
}
