// SPDX-License-Identifier: GPL-2.0-only
// mlockall(MCL_CURRENT|MCL_FUTURE): mappings made after the restore are locked too.
// @peer-may-differ (smaps/.*/VmFlags|status/Vm.*|stat/vsize) the original restores no MCL_FUTURE
#include "scenario.h"

static unsigned long locked_kib(void)
{
	char text[4096];
	int fd = must(open("/proc/self/status", O_RDONLY));
	ssize_t n = must(read(fd, text, sizeof(text) - 1));
	text[n] = 0;
	close(fd);
	return strtoul(strstr(text, "VmLck:") + 6, NULL, 10);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		skip("mlockall: %s", strerror(errno));
	char *at = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, 4 * PAGE, 2);
	unsigned long kib = locked_kib();
	ready();
	wait_for_trigger();
	expect("VmLck", kib, locked_kib());
	expect_fill("mapping", at, 4 * PAGE, 2);
	pass();
}
