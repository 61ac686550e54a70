// SPDX-License-Identifier: GPL-2.0-only
// A child that has the master of a pty alone, with data for the parent's slave; the hang-up comes with its end.
#include "pty.h"

static int master, slave;

static void hold_master(void *arg)
{
	(void)arg;
	int copy = must(dup(master));
	close(slave);
	must_be(write(copy, "data\n", 5) == 5);
	arrive_and_wait();
	must_be(write(master, "more\n", 5) == 5);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	master = open_master(0);
	slave = open_slave(master, O_NOCTTY);
	pid_t holder = start_child(hold_master, NULL);
	close(master);
	ready();
	wait_for_trigger();
	expect_read("data of the child", slave, "data\n");
	check_child(holder);
	char text[8];
	expect("read of a hung-up one", 0, read(slave, text, 8));
	pass();
}
