// SPDX-License-Identifier: GPL-2.0-only
// Native AIO in a tree: a child still maps the ring that its parent had at the fork, whose events it sees come, without having
// the context; it has one of its own besides. A thread that waits for events goes on waiting.
// @cflags -pthread
// @skip-peer the original gives the child a ring of its own in place of its parent's
#include "tree.h"
#include "aio.h"
#include <pthread.h>

static aio_context_t context;
static int fd;

static void *wait_for_event(void *arg)
{
	reap(*(aio_context_t *)arg, 7);
	return NULL;
}

static void run(void *arg)
{
	(void)arg;
	struct io_event event;
	aio_context_t own = new_context(2);
	submit(own, fd, 5);
	arrive_and_wait();
	expect("events of another's ring", -1, syscall(SYS_io_getevents, context, 0, 1, &event, NULL));
	expect("errno", EINVAL, errno);
	expect("tail of another's ring", 2, ((struct ring_head *)context)->tail);
	reap(own, 5);
	must(syscall(SYS_io_destroy, own));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	fd = must(memfd_create("nothing", 0));
	context = new_context(1);
	submit(context, fd, 1);
	pid_t child = start_child(run, NULL);
	aio_context_t awaited = new_context(1);
	sigset_t all, before;
	sigfillset(&all);
	must(pthread_sigmask(SIG_SETMASK, &all, &before));
	pthread_t thread;
	expect("pthread_create", 0, pthread_create(&thread, NULL, wait_for_event, &awaited));
	must(pthread_sigmask(SIG_SETMASK, &before, NULL));
	ready();
	wait_for_trigger();
	submit(awaited, fd, 7);
	expect("pthread_join", 0, pthread_join(thread, NULL));
	submit(context, fd, 2);
	check_child(child);
	reap(context, 1);
	reap(context, 2);
	expect_nothing(context);
	pass();
}
