// SPDX-License-Identifier: GPL-2.0-only
// A process whose main thread has ended goes on with its other threads: files, directories and memory are theirs, its own
// child is still its own, and the main thread stays what it was, a zombie with its name.
// @cflags -pthread
// @skip-peer CRIU 4.1.1 refuses a process whose main thread has ended
// @busy threads
#include "threads.h"
#include <sys/prctl.h>
#include <sys/wait.h>

static pid_t child;
static int number;

static void read_leader(const char *file, char *text, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", getpid(), file);
	int fd = must(open(path, O_RDONLY));
	ssize_t n = must(read(fd, text, size - 1));
	text[n] = 0;
	close(fd);
}

static void *help(void *arg)
{
	arrive_and_wait();
	return arg;
}

static void *run(void *arg)
{
	struct timespec ms = { 0, 1000000 };
	char text[512] = "";
	pthread_t helper = start_thread(help, &number);
	while (!strstr(text, ") Z ")) {
		read_leader("stat", text, sizeof(text));
		nanosleep(&ms, NULL);
	}
	wait_for_value(&arrived_count, 1);
	ready();
	wait_for_trigger();
	set_value(&released_word, 1);
	must_be(join_thread(helper) == &number);
	read_leader("stat", text, sizeof(text));
	must_be(strstr(text, "(the first) Z ") != NULL);
	expect("reading from the file", 1, read(number, text, 1));
	char path[64];
	must_be(getcwd(path, sizeof(path)));
	expect_text("working directory", "/usr", path);
	int status;
	must(kill(child, SIGKILL));
	expect("child", child, waitpid(child, &status, 0));
	pass();
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(chdir("/usr"));
	must(prctl(PR_SET_NAME, "the first"));
	number = must(open("/dev/zero", O_RDONLY));
	child = must(fork());
	if (child == 0)
		for (;;)
			pause();
	pthread_t thread;
	must_be(pthread_create(&thread, NULL, run, NULL) == 0);
	pthread_exit(NULL);
}
