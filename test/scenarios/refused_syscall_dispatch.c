// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a thread whose system calls come back to it as SIGSYS, and they still do so afterwards.
// @expect refused SYSCALL_DISPATCH
#include "scenario.h"
#include <pthread.h>
#include <sys/prctl.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif
#define ALLOW 0
#define BLOCK 1

static volatile unsigned char selector = ALLOW;
static volatile int dispatched;
static volatile int may_go;
static pthread_barrier_t set_up;

static void on_sys(int signo)
{
	(void)signo;
	selector = ALLOW;
	dispatched++;
}

static void *run(void *unused)
{
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) < 0)
		skip("PR_SET_SYSCALL_USER_DISPATCH: %s", strerror(errno));
	pthread_barrier_wait(&set_up);
	while (!may_go)
		usleep(1000);
	selector = BLOCK;
	getppid();
	return unused;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread;
	must_be(signal(SIGSYS, on_sys) != SIG_ERR);
	must_be(pthread_barrier_init(&set_up, NULL, 2) == 0);
	must_be(pthread_create(&thread, NULL, run, NULL) == 0);
	pthread_barrier_wait(&set_up);
	ready();
	wait_for_trigger();
	may_go = 1;
	must_be(pthread_join(thread, NULL) == 0);
	expect("calls that came back", 1, dispatched);
	pass();
}
