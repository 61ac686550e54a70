// SPDX-License-Identifier: GPL-2.0-only
// A child with another core dump filter than its parent.
// @skip-peer CRIU 4.1.1 does not keep a child's filter
#include "tree.h"

static const char path[] = "/proc/self/coredump_filter";

static void expect_filter(unsigned wanted)
{
	char text[16] = "";
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	expect("filter", wanted, strtoul(text, NULL, 16));
}

static void run(void *arg)
{
	(void)arg;
	int fd = must(open(path, O_WRONLY | O_CLOEXEC));
	must_be(write(fd, "0x7", 3) == 3);
	close(fd);
	arrive_and_wait();
	expect_filter(7);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	expect_filter(0x33);
	check_child(child);
	pass();
}
