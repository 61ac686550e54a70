// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a pidfd of a single thread, which still works afterwards.
// @cflags -pthread
// @expect refused PIDFD_THREAD
// @expect-text PIDFD_THREAD
#include "threads.h"
#include <sys/prctl.h>

#define OF_THREAD O_EXCL
#define TO_THREAD 1
static __thread int signals;
static unsigned done;
static pid_t tid;

static void on_usr1(int sig)
{
	(void)sig;
	signals++;
}

static void *run(void *arg)
{
	tid = own_tid();
	arrive();
	while (!signals)
		pause();
	set_value(&done, 1);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_usr1 };
	must(sigaction(SIGUSR1, &act, NULL));
	pthread_t thread = start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	int fd = syscall(SYS_pidfd_open, tid, OF_THREAD);
	if (fd < 0)
		skip("pidfd_open of a thread: %s", strerror(errno));
	ready();
	wait_for_trigger();
	must(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, TO_THREAD));
	wait_for_value(&done, 1);
	join_thread(thread);
	expect("signals in the main thread", 0, signals);
	pass();
}
