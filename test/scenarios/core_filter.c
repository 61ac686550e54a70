// SPDX-License-Identifier: GPL-2.0-only
// Which memory goes into a core file (coredump_filter), and the limit of core files.
// @skip-peer CRIU 4.1.1 does not keep the filter
#include "scenario.h"
#include <sys/resource.h>

static void read_filter(char *text, size_t size)
{
	memset(text, 0, size);
	int fd = must(open("/proc/self/coredump_filter", O_RDONLY));
	must(read(fd, text, size - 1));
	close(fd);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char before[32], after[32];
	int fd = open("/proc/self/coredump_filter", O_WRONLY);
	if (fd < 0)
		skip("no coredump_filter");
	must_be(write(fd, "0x1a5", 5) == 5);
	must(close(fd));
	must(setrlimit(RLIMIT_CORE, &(struct rlimit){ 12345 << 12, 23456 << 12 }));
	read_filter(before, sizeof(before));
	ready();
	wait_for_trigger();
	read_filter(after, sizeof(after));
	expect_text("filter", before, after);
	struct rlimit limit;
	must(getrlimit(RLIMIT_CORE, &limit));
	expect("soft limit", 12345 << 12, limit.rlim_cur);
	expect("hard limit", 23456 << 12, limit.rlim_max);
	pass();
}
