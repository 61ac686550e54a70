// SPDX-License-Identifier: GPL-2.0-only
// Threads under filters are blocked in calls: the calls go on, and the filters rule what comes after.
// @cflags -pthread
#include "threads.h"
#include "seccomp.h"

static int ends[2];

static void *run(void *arg)
{
	char byte = 0;
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(install_rule(arg ? SYS_write : SYS_getppid, SECCOMP_RET_ERRNO | 1000, 0));
	arrive();
	if (arg) {
		expect("result of the blocked read", 1, read(ends[0], &byte, 1));
		expect("byte", 'r', byte);
		expect_errno("write", 1000, SYS_write, ends[1], 0);
		return NULL;
	}
	wait_for_value(&released_word, 1);
	expect_errno("getppid", 1000, SYS_getppid, 0, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(ends));
	pthread_t threads[2] = { start_thread(run, NULL), start_thread(run, "read") };
	checkpoint_threads(2);
	must_be(write(ends[1], "r", 1) == 1);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
