// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for POSIX message queues that are to tell of their next message, or that have no name any more.
// @cflags -lrt
// @expect refused MESSAGE_QUEUE
// @expect-text of its next message (mq_notify)
// @expect-text no name any more (mq_unlink)
#include "scenario.h"
#include <mqueue.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	mqd_t queues[2];
	char names[2][64];
	for (int i = 0; i < 2; i++) {
		snprintf(names[i], sizeof(names[i]), "/criu-test-%d-%ld-%d", getpid(), (long)time(NULL), i);
		queues[i] = mq_open(names[i], O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
		if (queues[i] < 0)
			skip("mq_open: %s", strerror(errno));
	}
	must(mq_unlink(names[0]));
	must(mq_send(queues[0], "stays", 5, 1));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77 };
	must(mq_notify(queues[1], &event));
	ready();
	wait_for_trigger();
	must(mq_unlink(names[1]));
	must(mq_send(queues[1], "come", 4, 0));
	siginfo_t info;
	expect("signal", SIGRTMIN, sigwaitinfo(&set, &info));
	expect("value", 77, info.si_value.sival_int);
	char text[8192];
	expect("length of what stays", 5, mq_receive(queues[0], text, sizeof(text), NULL));
	pass();
}
