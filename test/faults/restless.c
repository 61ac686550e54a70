// SPDX-License-Identifier: GPL-2.0-only
// Trees that change all the time, so that a freeze meets everything: `restless MODE PAGE` keeps score in PAGE as target.c does,
// one slot per chain of events. MODE:
// forks    children fork and reap grandchildren that end at once
// threads  chains of threads, each of which joins its predecessor, starts its successor and ends
// wander   chains of processes, each of which forks its successor and ends; the root, a subreaper, adopts them all
// execs    a process whose second thread executes this program anew, again and again; the leader and a third thread rest
// vforks   children that start a program by vfork and wait for it
// vforked  a child that sits in vfork for ever
// quits    children with threads that end now and then by exit_group in a thread; the root replaces them
// leader   the first thread ends a while after the start, another one goes on
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHAINS 4
#define STACK (64 << 10)

struct score {
	uint64_t ready, progress, errors, error_kind, eintr, signals, late_ns, pid;
};

static volatile struct score *slots;
static char **own_argv;

static void fail(int slot, int kind)
{
	slots[slot].error_kind = kind;
	slots[slot].errors++;
}

static void rest(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };
	nanosleep(&t, NULL);
}

static void reap(int slot, pid_t pid, int wanted)
{
	int status;
	pid_t got;
	while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (got != pid || status != wanted)
		fail(slot, 1);
}

static void fork_for_ever(int slot)
{
	for (int i = 0;; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(i & 0x7f);
		if (pid < 0)
			fail(slot, 2);
		else
			reap(slot, pid, (i & 0x7f) << 8);
		slots[slot].progress++;
		rest(200);
	}
}

static void spawn_for_ever(int slot)
{
	for (;;) {
		pid_t pid = vfork();
		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		reap(slot, pid, 0);
		slots[slot].progress++;
		rest(300);
	}
}

struct link {
	pthread_t before;
	int slot, length;
};

static pthread_attr_t attr;

static void *be_link(void *arg)
{
	struct link *link = arg;
	void *result;
	if (link->length && (pthread_join(link->before, &result) || (long)result != link->length))
		fail(link->slot, 3);
	long length = ++link->length;
	slots[link->slot].progress++;
	link->before = pthread_self();
	rest(100);
	pthread_t next;
	if (pthread_create(&next, &attr, be_link, link))
		fail(link->slot, 4);
	return (void *)length;
}

static void wander(int slot)
{
	for (;;) {
		slots[slot].progress++;
		rest(slots[slot].progress * 37 % 300);
		pid_t pid = fork();
		if (pid > 0)
			_exit(0);
		if (pid < 0)
			fail(slot, 5);
	}
}

static void *execute_self(void *arg)
{
	rest(500);
	execv("/proc/self/exe", own_argv);
	fail(0, 6);
	return arg;
}

static void *rest_for_ever(void *arg)
{
	for (;;)
		rest(1000000);
	return arg;
}

static void *quit(void *arg)
{
	rest(2000);
	syscall(SYS_exit_group, 3);
	return arg;
}

static void quit_for_ever(void)
{
	pthread_t thread;
	for (;;) {
		for (int slot = 0; slot < CHAINS; slot++) {
			pid_t pid = fork();
			if (pid == 0) {
				pthread_create(&thread, &attr, rest_for_ever, NULL);
				pthread_create(&thread, &attr, slot & 1 ? quit : rest_for_ever, NULL);
				rest(2000);
				_exit(3);
			}
			slots[slot].progress++;
		}
		for (int status; wait(&status) > 0;)
			if (status != 3 << 8)
				fail(0, 7);
	}
}

static void *go_on(void *arg)
{
	for (;; rest(1000))
		slots[0].progress++;
	return arg;
}

static void start(int slot, void (*run)(int))
{
	slots[slot].ready = 1;
	pid_t pid = fork();
	if (pid == 0)
		run(slot);
}

static void sit_in_vfork(int slot)
{
	pid_t pid = vfork();
	if (pid == 0)
		for (;; rest(1000))
			slots[slot].progress++;
	_exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	own_argv = argv;
	const char *mode = argv[1];
	int fd = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return 2;
	slots = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	pthread_t thread;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	slots[0].ready = 1;
	if (!strcmp(mode, "quits"))
		quit_for_ever();
	if (!strcmp(mode, "execs")) {
		slots[0].progress++;
		pthread_create(&thread, &attr, rest_for_ever, NULL);
		pthread_create(&thread, &attr, execute_self, NULL);
	}
	if (!strcmp(mode, "leader")) {
		pthread_create(&thread, &attr, go_on, NULL);
		pthread_exit(NULL);
	}
	if (!strcmp(mode, "wander")) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		signal(SIGCHLD, SIG_IGN);
	}
	for (int slot = 0; slot < CHAINS; slot++) {
		if (!strcmp(mode, "forks"))
			start(slot, fork_for_ever);
		else if (!strcmp(mode, "wander"))
			start(slot, wander);
		else if (!strcmp(mode, "vforks"))
			start(slot, spawn_for_ever);
		else if (!strcmp(mode, "vforked") && slot == 0)
			start(slot, sit_in_vfork);
		else if (!strcmp(mode, "threads")) {
			static struct link links[CHAINS];
			links[slot].slot = slot;
			slots[slot].ready = 1;
			pthread_create(&thread, &attr, be_link, links + slot);
		}
	}
	rest_for_ever(NULL);
}
