// SPDX-License-Identifier: GPL-2.0-only
// Threads of a 32-bit program, in calls that are resumed each in its own way: their thread-local memory (a segment each), x87 state,
// robust mutexes and alternate stacks are kept, the calls end as if nothing had been.
// @needs ia32 multilib
// @cflags -m32 -pthread
// @busy threads
// @skip-mode peer-ours the original has calls end with EINTR that have a restart block, such as poll
// @peer-may-differ fd/\d+/flags the original, being 64-bit, opens files with O_LARGEFILE
#include "threads.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { SLEEPER, POLLER, EPOLLER, READER, LOCKER, COUNTER, THREADS };

static __thread unsigned long own_word;
static __thread char own_bytes[300];
static int event_fd, epoll_fd, pipe_fds[2];
static pthread_mutex_t robust;
static unsigned go_on;

static void check_own(long i)
{
	expect("thread-local word", 1000 + i, own_word);
	expect_fill("thread-local bytes", own_bytes, sizeof(own_bytes), i);
}

static void sleep_shortly(void)
{
	struct timespec length = { 0, 700000000 };
	// As a C library does it, but with one place for the request and the rest, which makes it repeatable.
	long ret;
	asm volatile("movl %[nr], %%eax\n\tcall *%%gs:0x10"
		     : "=a"(ret)
		     : [nr] "i"(SYS_nanosleep), "b"(&length), "c"(&length)
		     : "memory", "cc");
	expect("nanosleep", 0, ret);
}

static void block(long i)
{
	char c = 0;
	struct pollfd fd = { event_fd, POLLIN, 0 };
	struct epoll_event event = { 0 };
	arrive();
	switch (i) {
	case SLEEPER:
		while (!__atomic_load_n(&go_on, __ATOMIC_SEQ_CST))
			sleep_shortly();
		break;
	case POLLER: expect("poll", 1, poll(&fd, 1, -1)); break;
	case EPOLLER:
		while (epoll_wait(epoll_fd, &event, 1, -1) < 0) // ends with EINTR where a criu dies right after its stop
			must_be(errno == EINTR);
		expect("its word", 77, event.data.u32);
		break;
	case READER: expect("read", 1, read(pipe_fds[0], &c, 1)); break;
	default: wait_for_value(&released_word, 1);
	}
}

static void *run(void *arg)
{
	long i = (long)arg;
	long double before = 3.25L + i, after = 0;
	own_word = 1000 + i;
	fill(own_bytes, sizeof(own_bytes), i);
	char *stack = malloc(SIGSTKSZ);
	stack_t alternate = { .ss_sp = stack, .ss_size = SIGSTKSZ }, seen;
	must(sigaltstack(&alternate, NULL));
	if (i == LOCKER)
		must_be(pthread_mutex_lock(&robust) == 0);
	if (i == COUNTER) {
		// At full speed, with all of the x87 stack's first register.
		arrive();
		asm volatile("fldt %[in]\n1:\n\tcmpl $0, %[word]\n\tje 1b\n\tfstpt %[out]"
			     : [out] "=m"(after)
			     : [in] "m"(before), [word] "m"(released_word)
			     : "memory", "cc", "st");
		expect_bytes("x87 register", &before, &after, 10);
	} else {
		block(i);
	}
	check_own(i);
	must(sigaltstack(NULL, &seen));
	must_be(seen.ss_sp == stack);
	return NULL; // the locker ends with its mutex
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attributes);
	event_fd = must(eventfd(0, 0));
	epoll_fd = must(epoll_create1(0));
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 77 };
	must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event));
	must(pipe(pipe_fds));
	pthread_t threads[THREADS];
	for (long i = 0; i < THREADS; i++)
		threads[i] = start_thread(run, (void *)i);
	own_word = 5;
	wait_for_value(&arrived_count, THREADS);
	ready();
	wait_for_trigger();
	expect("thread-local word of the first thread", 5, own_word);
	set_value(&go_on, 1);
	set_value(&released_word, 1);
	must_be(write(pipe_fds[1], "x", 1) == 1);
	must(eventfd_write(event_fd, 1));
	for (int i = 0; i < THREADS; i++)
		join_thread(threads[i]);
	expect("the lock of a thread that has ended", EOWNERDEAD, pthread_mutex_lock(&robust));
	// New ones can be made.
	arrived_count = 0;
	join_thread(start_thread(run, (void *)(long)COUNTER));
	pass();
}
