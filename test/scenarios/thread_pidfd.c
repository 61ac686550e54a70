// SPDX-License-Identifier: GPL-2.0-only
// Descriptors of single threads (PIDFD_THREAD): of one that lives, watched by epoll and shared with a child, which signals it;
// of the leader; of a thread that has ended.
// @skip-peer it makes threads after files, and refuses such descriptors in dumps
// @cflags -pthread
#include "threads.h"
#include <sys/epoll.h>
#include <sys/wait.h>

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

static int open_thread(pid_t of)
{
	int fd = syscall(SYS_pidfd_open, of, OF_THREAD);
	if (fd < 0)
		skip("pidfd_open of a thread: %s", strerror(errno));
	return fd;
}

static void *end(void *fd)
{
	*(int *)fd = open_thread(own_tid());
	return NULL;
}

static int send(int fd, int sig)
{
	return syscall(SYS_pidfd_send_signal, fd, sig, NULL, TO_THREAD);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ended = -1, line[2];
	struct sigaction act = { .sa_handler = on_usr1 };
	must(sigaction(SIGUSR1, &act, NULL));
	pthread_t thread = start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	int fd = open_thread(tid), leader = open_thread(getpid());
	join_thread(start_thread(end, &ended));
	int set = must(epoll_create1(0));
	struct epoll_event event = { .events = EPOLLIN };
	must(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	must(pipe(line));
	pid_t child = must(fork());
	if (child == 0) {
		char byte;
		must_be(read(line[0], &byte, 1) == 1);
		_exit(send(fd, SIGUSR1) < 0);
	}
	ready();
	wait_for_trigger();
	expect("events of a thread that lives", 0, must(epoll_wait(set, &event, 1, 0)));
	must_be(write(line[1], "", 1) == 1);
	int status;
	must(waitpid(child, &status, 0));
	expect("the child's end", 0, status);
	wait_for_value(&done, 1);
	expect("signals in the main thread", 0, signals);
	expect("events of a thread that has ended", 1, must(epoll_wait(set, &event, 1, -1)));
	join_thread(thread);
	must(send(leader, SIGUSR1));
	expect("signals in the main thread", 1, signals);
	expect("a signal for what has ended", -1, send(ended, 0));
	expect("the reason", ESRCH, errno);
	pass();
}
