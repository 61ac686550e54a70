// SPDX-License-Identifier: GPL-2.0-only
// Pipes of different tasks are on their way through a pair of sockets between these.
// @skip-peer the peer loses files on their way between tasks
#include "unix.h"

static int across[2], outer[2];

static void expect_read(const char *what, int fd, const char *wanted)
{
	char text[16] = { 0 };
	must(read(fd, text, 15));
	expect_text(what, wanted, text);
}

static void run(void *arg)
{
	(void)arg;
	int inner[2], got;
	close(across[0]);
	must(pipe(inner));
	send_files(across[1], "from the child", &inner[0], 1);
	close(inner[0]);
	arrive_and_wait();
	receive_files("from the parent", across[1], "from the parent", &got, 1);
	expect_read("through the parent's pipe", got, "outer");
	must_be(write(inner[1], "inner", 5) == 5);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, across));
	must(pipe(outer));
	send_files(across[0], "from the parent", &outer[0], 1);
	close(outer[0]);
	pid_t child = start_child(run, NULL);
	close(across[1]);
	ready();
	wait_for_trigger();
	int got;
	receive_files("from the child", across[0], "from the child", &got, 1);
	must_be(write(outer[1], "outer", 5) == 5);
	check_child(child);
	expect_read("through the child's pipe", got, "inner");
	pass();
}
