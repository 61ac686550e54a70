// SPDX-License-Identifier: GPL-2.0-only
// An epoll over a signalfd, a timerfd and a pipe wakes up for each of them.
// @may-differ fd/\d+/(it_value|ticks) it goes on while it isn't read
#include "scenario.h"
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static int watch;

static void add(int fd, uint64_t data)
{
	struct epoll_event event = { EPOLLIN, { .u64 = data } };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event));
}

static void expect_event(uint64_t data)
{
	struct epoll_event event[2];
	expect("events", 1, epoll_wait(watch, event, 2, 10000));
	expect("data", data, event[0].data.u64);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	watch = must(epoll_create1(0));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	int sig = must(signalfd(-1, &set, SFD_NONBLOCK)), timer = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), ends[2];
	must(pipe(ends));
	add(sig, 1);
	add(timer, 2);
	add(ends[0], 3);
	ready();
	wait_for_trigger();
	must(raise(SIGHUP));
	expect_event(1);
	struct signalfd_siginfo info;
	must_be(read(sig, &info, sizeof(info)) == sizeof(info));
	struct itimerspec spec = { .it_value = { 0, 1000000 } };
	must(timerfd_settime(timer, 0, &spec, NULL));
	expect_event(2);
	uint64_t ticks;
	must_be(read(timer, &ticks, 8) == 8);
	must_be(write(ends[1], "x", 1) == 1);
	expect_event(3);
	pass();
}
