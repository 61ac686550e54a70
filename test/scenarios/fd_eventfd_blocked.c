// SPDX-License-Identifier: GPL-2.0-only
// A child that sleeps in a read of an eventfd wakes when the parent writes after the restore.
#include "tree.h"
#include <sys/eventfd.h>

static int fd;

static void run(void *arg)
{
	(void)arg;
	uint64_t value = 0;
	arrive();
	ssize_t n;
	while ((n = read(fd, &value, 8)) < 0 && errno == EINTR)
		;
	expect("bytes", 8, n);
	expect("value", 41, value);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	fd = must(eventfd(0, 0));
	pid_t child = start_child(run, NULL);
	await_asleep(child);
	ready();
	wait_for_trigger();
	uint64_t value = 41;
	must_be(write(fd, &value, 8) == 8);
	expect_exit(child, 0);
	pass();
}
