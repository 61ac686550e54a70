// SPDX-License-Identifier: GPL-2.0-only
// The program of tree_everything*.c: a tree of processes that make files of every kind, hand them down, duplicate and close them,
// all at random by a fixed seed. In the end everyone's descriptors are those of the maker, and the maker's files hold what they did.
#include "tree.h"
#include "everything.h"
#include "random.h"
#include <linux/kcmp.h>

enum { PROCESSES = 7, OBJECTS = 90, OWN = 200, STEPS = 14 };

static struct shared {
	int processes, objects, arrived, phase;
	pid_t pids[PROCESSES];
	struct object {
		pid_t maker;
		int kind, fds[2];
	} made[OBJECTS];
} *shared;

// What this process has: an object's descriptor, which of both, or its memory.
static struct own {
	int object, which, fd;
} own[OWN];
static int owned;
static struct thing things[OBJECTS];

static void make_one(void)
{
	int n = shared->objects, kind = roll(KINDS);
	if (n == OBJECTS || owned + 2 > OWN)
		return;
	shared->objects++;
	things[n] = (struct thing){ { -1, -1 }, NULL };
	kinds[kind].make(&things[n], n + 1);
	shared->made[n] = (struct object){ getpid(), kind, { things[n].fds[0], things[n].fds[1] } };
	for (int which = 0; which < 2; which++)
		if (things[n].fds[which] >= 0)
			own[owned++] = (struct own){ n, which, things[n].fds[which] };
}

static void duplicate_one(void)
{
	if (owned == 0 || owned == OWN)
		return;
	struct own one = own[roll(owned)];
	one.fd = must(fcntl(one.fd, roll(2) ? F_DUPFD : F_DUPFD_CLOEXEC, 60 + roll(400)));
	own[owned++] = one;
}

// The maker keeps what it has made itself: its numbers are in the table.
static void close_one(void)
{
	if (owned == 0)
		return;
	int i = roll(owned);
	struct object *made = &shared->made[own[i].object];
	if (made->maker == getpid() && made->fds[own[i].which] == own[i].fd)
		return;
	must(close(own[i].fd));
	own[i] = own[--owned];
}

static pid_t children[PROCESSES];
static int born;

static void live(void *number);

static void fork_one(void)
{
	int number = shared->processes;
	if (number == PROCESSES)
		return;
	shared->processes++;
	children[born++] = start_child(live, (void *)(long)number);
}

static void take_steps(int number)
{
	dice = DICE_SEED(SEED * 100 + number + 1);
	shared->pids[number] = getpid();
	for (int i = 0; i < STEPS; i++) {
		unsigned what = roll(10);
		if (what < 5)
			make_one();
		else if (what < 7)
			duplicate_one();
		else if (what < 8)
			close_one();
		else
			fork_one();
	}
}

static void check_all(void)
{
	for (int i = 0; i < owned; i++) {
		const struct object *made = &shared->made[own[i].object];
		long other = syscall(SYS_kcmp, getpid(), made->maker, KCMP_FILE, own[i].fd, made->fds[own[i].which]);
		if (other != 0)
			fail("fd %d, wanted fd %d of pid %d (kind %d), got another file", own[i].fd, made->fds[own[i].which], made->maker, made->kind);
	}
	__atomic_add_fetch(&shared->arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->phase, __ATOMIC_SEQ_CST) == 0 || shared->arrived < shared->processes)
		usleep(500);
	for (int n = 0; n < shared->objects; n++)
		if (shared->made[n].maker == getpid())
			kinds[shared->made[n].kind].check(&things[n], n + 1);
	// Nobody ends before all have seen that theirs is what the maker has: that was the first phase.
	for (int i = 0; i < born; i++)
		expect_exit(children[i], 0);
}

static void live(void *number)
{
	born = 0;
	take_steps((int)(long)number);
	arrive_and_wait();
	check_all();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	shared = shared_memory(sizeof(*shared));
	shared->processes = 1;
	take_steps(0);
	ready();
	wait_for_trigger();
	for (int i = 1; i < shared->processes; i++)
		must(kill(shared->pids[i], SIGUSR1));
	shared->phase = 1;
	check_all();
	pass();
}
