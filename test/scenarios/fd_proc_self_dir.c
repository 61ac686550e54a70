// SPDX-License-Identifier: GPL-2.0-only
// The process's own directory in /proc, open.
// @skip-peer the peer opens the directory before the process has its pid
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int dir = must(open("/proc/self", O_RDONLY | O_DIRECTORY));
	ready();
	wait_for_trigger();
	must(faccessat(dir, "maps", F_OK, 0));
	char link[64] = { 0 }, want[64];
	must(readlinkat(dir, "cwd", link, sizeof(link) - 1));
	must_be(getcwd(want, sizeof(want)) == NULL || !strncmp(link, want, strlen(link)));
	pass();
}
