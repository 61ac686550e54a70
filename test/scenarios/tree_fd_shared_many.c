// SPDX-License-Identifier: GPL-2.0-only
// Several tasks share hundreds of files by fork, but each has one of its own in the place of a shared one, one closed, and
// one with close-on-exec: what is known from the parent is taken over, and nothing else.
#include "tree.h"

enum { N = 400, CHILDREN = 4 };
static int fds[N];

static void run(void *arg)
{
	int own = *(int *)arg, gone = own + CHILDREN, marked = own + 2 * CHILDREN;
	int other = must(open("own", O_RDWR | O_CREAT, 0600));
	must(lseek(other, 1000 + own, SEEK_SET));
	must(dup2(other, fds[own]));
	must(close(other));
	must(close(fds[gone]));
	must(fcntl(fds[marked], F_SETFD, FD_CLOEXEC));
	arrive_and_wait();
	for (int i = 0; i < N; i++) {
		if (i == gone)
			must_be(fcntl(fds[i], F_GETFD) < 0 && errno == EBADF);
		else
			expect("position", i == own ? 1000 + own : 500 + i, lseek(fds[i], 0, SEEK_CUR));
		if (i != gone)
			expect("close-on-exec", i == marked ? FD_CLOEXEC : 0, fcntl(fds[i], F_GETFD));
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int numbers[CHILDREN];
	pid_t children[CHILDREN];
	for (int i = 0; i < N; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%d", i);
		fds[i] = must(open(name, O_RDWR | O_CREAT, 0600));
		must(lseek(fds[i], i, SEEK_SET));
	}
	for (int i = 0; i < CHILDREN; i++) {
		numbers[i] = i;
		children[i] = start_child(run, &numbers[i]);
	}
	ready();
	wait_for_trigger();
	// All see what one of them moves.
	for (int i = 0; i < N; i++) {
		expect("position before", i, lseek(fds[i], 0, SEEK_CUR));
		must(lseek(fds[i], 500 + i, SEEK_SET));
	}
	for (int i = 0; i < CHILDREN; i++)
		check_child(children[i]);
	pass();
}
