// SPDX-License-Identifier: GPL-2.0-only
// Pipes between parent and child, both ways, with data in flight in each.
#include "tree.h"

static int down[2], up[2];

static void expect_read(int fd, const char *wanted)
{
	char text[64] = "";
	must_be(read(fd, text, strlen(wanted)) == (ssize_t)strlen(wanted));
	expect_text("data", wanted, text);
}

static void run(void *arg)
{
	(void)arg;
	close(down[1]);
	close(up[0]);
	must_be(write(up[1], "upward ", 7) == 7);
	arrive_and_wait();
	must_be(write(up[1], "more", 4) == 4);
	expect_read(down[0], "downward ");
	expect_read(down[0], "again");
	char byte;
	expect("end of the pipe", 0, read(down[0], &byte, 1));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(pipe(down));
	must(pipe(up));
	pid_t child = start_child(run, NULL);
	close(down[0]);
	close(up[1]);
	must_be(write(down[1], "downward ", 9) == 9);
	ready();
	wait_for_trigger();
	must_be(write(down[1], "again", 5) == 5);
	close(down[1]);
	check_child(child);
	expect_read(up[0], "upward more");
	char byte;
	expect("end of the other pipe", 0, read(up[0], &byte, 1));
	pass();
}
