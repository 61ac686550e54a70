// SPDX-License-Identifier: GPL-2.0-only
// clear_child_tid of each thread: the C library's word, an own word (cleared and woken at exit), and none.
// @cflags -pthread
#include "threads.h"
#include <sys/prctl.h>

static unsigned own_word = 4711;
static pid_t tids[3];

static int *read_address(void)
{
	int *at = NULL;
	if (prctl(PR_GET_TID_ADDRESS, &at) < 0)
		skip("PR_GET_TID_ADDRESS: %s", strerror(errno));
	return at;
}

static void *run(void *arg)
{
	long i = (long)arg;
	int *libc = read_address();
	tids[i] = own_tid();
	if (i)
		must_be(syscall(SYS_set_tid_address, i == 1 ? &own_word : NULL) == tids[i]);
	int *before = read_address();
	arrive_and_wait();
	expect("address that is cleared at exit", (long)before, (long)read_address());
	if (i == 0) {
		expect("the C library's word", tids[0], *before);
		return NULL;
	}
	must_be(before != libc);
	syscall(SYS_exit, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t first = start_thread(run, (void *)0);
	start_thread(run, (void *)1);
	start_thread(run, (void *)2);
	checkpoint_threads(3);
	join_thread(first);
	// Not private: the kernel's own wake at a thread's end isn't.
	for (unsigned seen; (seen = __atomic_load_n(&own_word, __ATOMIC_SEQ_CST)) != 0;)
		syscall(SYS_futex, &own_word, FUTEX_WAIT, seen, NULL, NULL, 0);
	struct timespec ms = { 0, 1000000 };
	int i = 0;
	while (syscall(SYS_tgkill, getpid(), tids[2], 0) == 0 && i++ < 10000)
		nanosleep(&ms, NULL);
	expect("thread without an address is gone", ESRCH, errno);
	pass();
}
