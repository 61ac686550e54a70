// SPDX-License-Identifier: GPL-2.0-only
// One thread in strict mode, the others free: its first forbidden call kills it, and it alone.
// @cflags -pthread
#include "threads.h"
#include "seccomp.h"

static int ends[2];
static unsigned own_word = 1, read_bytes;
static pid_t tid;

static void *run(void *arg)
{
	char byte;
	tid = must(syscall(SYS_set_tid_address, &own_word));
	arrive();
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	while (syscall(SYS_read, ends[0], &byte, 1) == 1)
		if (++read_bytes == 2)
			syscall(SYS_getpid);
	for (;;)
		syscall(SYS_exit, 1);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(ends));
	start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	char task[64];
	snprintf(task, sizeof(task), "self/task/%d", tid);
	while (read_status(task, "Seccomp:") != 1)
		;
	ready();
	wait_for_trigger();
	expect("mode of the thread", 1, read_status(task, "Seccomp:"));
	expect("mode of the main thread", 0, read_status("self", "Seccomp:"));
	must_be(write(ends[1], "a", 1) == 1);
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; __atomic_load_n(&read_bytes, __ATOMIC_SEQ_CST) < 1 && i < 10000; i++)
		nanosleep(&ms, NULL);
	must_be(syscall(SYS_tgkill, getpid(), tid, 0) == 0);
	must_be(write(ends[1], "b", 1) == 1);
	for (int i = 0; syscall(SYS_tgkill, getpid(), tid, 0) == 0 && i < 10000; i++)
		nanosleep(&ms, NULL);
	expect("sending to the dead thread", -1, syscall(SYS_tgkill, getpid(), tid, 0));
	expect("bytes that it read", 2, read_bytes);
	pass();
}
