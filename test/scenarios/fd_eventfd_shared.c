// SPDX-License-Identifier: GPL-2.0-only
// Parent and child share an eventfd, and each has one of its own with the same number and value.
#include "tree.h"
#include <sys/eventfd.h>

static int shared, own;

static void run(void *arg)
{
	(void)arg;
	close(own);
	must_be(must(eventfd(7, EFD_NONBLOCK)) == own);
	arrive_and_wait();
	uint64_t value = 0;
	must_be(read(shared, &value, 8) == 8);
	expect("what the parent wrote", 5, value);
	must_be(read(own, &value, 8) == 8);
	expect("the child's own counter", 7, value);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	shared = must(eventfd(0, EFD_NONBLOCK));
	own = must(eventfd(7, EFD_NONBLOCK));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	uint64_t value = 5;
	must_be(write(shared, &value, 8) == 8);
	check_child(child);
	expect("read of what the child took", -1, read(shared, &value, 8));
	must_be(read(own, &value, 8) == 8);
	expect("the parent's own counter", 7, value);
	pass();
}
