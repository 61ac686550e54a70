// SPDX-License-Identifier: GPL-2.0-only
// One more supplementary group than it was started with: same count, same order.
#include "scenario.h"
#include <grp.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	gid_t groups[1024], got[1025], highest = 0;
	int n = must(getgroups(1023, groups));
	for (int i = 0; i < n; i++)
		if (groups[i] > highest)
			highest = groups[i];
	groups[n++] = highest + 1;
	if (setgroups(n, groups) < 0)
		skip("setgroups: %s", strerror(errno));
	must_be(getgroups(1024, groups) == n);
	ready();
	wait_for_trigger();
	expect("number of groups", n, getgroups(1025, got));
	for (int i = 0; i < n; i++)
		expect("group", groups[i], got[i]);
	pass();
}
