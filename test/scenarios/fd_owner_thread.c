// SPDX-License-Identifier: GPL-2.0-only
// A pipe whose owner is one thread (F_SETOWN_EX with F_OWNER_TID): it is the owner still, and gets the signal, and only it.
// @cflags -pthread
// @skip-peer CRIU 4.1.1 cannot restore it: it sets owners before it makes threads
#include "threads.h"

static pid_t owner_tid;
static volatile pid_t signalled;

static void on_signal(int sig)
{
	(void)sig;
	signalled = own_tid();
}

static void *run(void *arg)
{
	owner_tid = own_tid();
	arrive_and_wait();
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	must(sigaction(SIGRTMIN + 3, &act, NULL));
	pthread_t thread = start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	int ends[2];
	must(pipe(ends));
	must(fcntl(ends[0], F_SETOWN_EX, &(struct f_owner_ex){ F_OWNER_TID, owner_tid }));
	must(fcntl(ends[0], F_SETSIG, SIGRTMIN + 3));
	must(fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	ready();
	wait_for_trigger();
	struct f_owner_ex owner;
	must(fcntl(ends[0], F_GETOWN_EX, &owner));
	expect("owner's type", F_OWNER_TID, owner.type);
	expect("owner", owner_tid, owner.pid);
	must_be(write(ends[1], "x", 1) == 1);
	for (int n = 0; !signalled; n++) {
		if (n > 10000)
			fail("signal, wanted one, got none in 10 s");
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	expect("thread with the signal", owner_tid, signalled);
	set_value(&released_word, 1);
	join_thread(thread);
	pass();
}
