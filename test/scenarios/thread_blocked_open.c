// SPDX-License-Identifier: GPL-2.0-only
// Threads blocked in opening the two ends of FIFOs that nobody has open at the other end.
// @cflags -pthread
#include "threads.h"

static void *run(void *arg)
{
	char text[6] = "";
	arrive();
	int fd = open(arg ? "fifo1" : "fifo0", arg ? O_WRONLY : O_RDONLY);
	if (fd < 0)
		fail("opening the FIFO, wanted success, got errno %d", errno);
	if (arg)
		must_be(write(fd, "there", 5) == 5);
	else
		must_be(read(fd, text, 5) == 5);
	expect_text("text", arg ? "" : "hello", text);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkfifo("fifo0", 0600));
	must(mkfifo("fifo1", 0600));
	pthread_t threads[2] = { start_thread(run, NULL), start_thread(run, "write") };
	checkpoint_threads(2);
	int out = must(open("fifo0", O_WRONLY)), in = must(open("fifo1", O_RDONLY));
	char text[6] = "";
	must_be(write(out, "hello", 5) == 5);
	must_be(read(in, text, 5) == 5);
	expect_text("text", "there", text);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
