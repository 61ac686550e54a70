// SPDX-License-Identifier: GPL-2.0-only
// A named pipe opened by parent and child each for themselves, with data in flight, and its folder entry still working.
#include "tree.h"

static void run(void *arg)
{
	(void)arg;
	int fd = must(open("fifo", O_WRONLY));
	must_be(write(fd, "flying ", 7) == 7);
	arrive_and_wait();
	must_be(write(fd, "landed", 6) == 6);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(mkfifo("fifo", 0600));
	int fd = must(open("fifo", O_RDONLY | O_NONBLOCK));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	int late = must(open("fifo", O_WRONLY));
	check_child(child);
	must_be(write(late, "!", 1) == 1);
	close(late);
	char text[32] = "";
	expect("bytes", 14, read(fd, text, 32));
	expect_text("data", "flying landed!", text);
	expect("end", 0, read(fd, text, 32));
	pass();
}
