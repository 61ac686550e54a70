// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a thread with a working directory and umask of its own, which the images have no place for.
// @cflags -pthread
// @expect refused THREAD_UNSHARED
#include "threads.h"
#include <sched.h>

static void expect_directory(const char *wanted)
{
	char cwd[256] = "";
	must_be(getcwd(cwd, sizeof(cwd)) != NULL);
	expect_text("working directory", wanted, cwd);
}

static void *run(void *arg)
{
	must(unshare(CLONE_FS));
	must(chdir("/proc"));
	umask(0111);
	arrive_and_wait();
	expect_directory("/proc");
	expect("umask of the thread", 0111, umask(0));
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char before[256] = "";
	must_be(getcwd(before, sizeof(before)) != NULL);
	umask(022);
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	expect_directory(before);
	join_thread(thread);
	expect("umask", 022, umask(0));
	pass();
}
