// SPDX-License-Identifier: GPL-2.0-only
// The program of tree_sessions_random*.c. Each process obeys orders of the root, one at a time, in shared memory.
#include "tree.h"
#include <linux/futex.h>

enum { SLOTS = 200 };
enum order { NOTHING, FORK, FORK_SIBLING, DIE, SETSID, REAP_ON, REAP_OFF, REAP, CHECK, QUIT };
struct slot { unsigned order; int value; pid_t pid, parent, session, group; enum { FREE, ALIVE, ZOMBIE, GONE } state; };
static struct slot *slots;
static uint64_t seed = 20260;

static unsigned choose(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void futex(unsigned *word, int what, unsigned value)
{
	syscall(SYS_futex, word, what, value, NULL, NULL, 0);
}

// Has a process obey, and waits until it has.
static void give(int to, enum order order, int value)
{
	slots[to].value = value;
	__atomic_store_n(&slots[to].order, order, __ATOMIC_SEQ_CST);
	futex(&slots[to].order, FUTEX_WAKE, 1);
	while (__atomic_load_n(&slots[to].order, __ATOMIC_SEQ_CST) == order)
		futex(&slots[to].order, FUTEX_WAIT, order);
	if (slots[to].order != NOTHING)
		_exit(1);
}

static void finish(struct slot *slot)
{
	__atomic_store_n(&slot->order, NOTHING, __ATOMIC_SEQ_CST);
	futex(&slot->order, FUTEX_WAKE, 1);
}

static void obey_orders(struct slot *self);

static void fork_into(int number, unsigned long flags)
{
	pid_t pid = must(syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL));
	if (pid == 0)
		obey_orders(slots + number);
	slots[number].pid = pid;
}

static void obey_orders(struct slot *self)
{
	for (;;) {
		unsigned order = __atomic_load_n(&self->order, __ATOMIC_SEQ_CST);
		if (order == NOTHING) {
			futex(&self->order, FUTEX_WAIT, NOTHING);
			continue;
		}
		if (order == FORK || order == FORK_SIBLING)
			fork_into(self->value, order == FORK ? 0 : CLONE_PARENT);
		else if (order == SETSID)
			setsid(); // fails for those that lead a group
		else if (order == REAP_ON || order == REAP_OFF)
			must(prctl(PR_SET_CHILD_SUBREAPER, order == REAP_ON, 0, 0, 0));
		else if (order == REAP)
			expect("reaped pid", self->value, waitpid(self->value, NULL, 0));
		else if (order == CHECK) {
			expect("pid", self->pid, getpid());
			expect("session", self->session, getsid(0));
			expect("group", self->group, getpgrp());
			expect("parent", self->parent, getppid());
		}
		finish(self);
		if (order == DIE || order == QUIT)
			_exit(order == DIE ? 7 : 0);
	}
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	text[must(read(fd, text, sizeof(text) - 1))] = 0;
	close(fd);
	return atoi(strrchr(text, ')') + 4);
}

static int find(pid_t pid)
{
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].pid == pid && slots[i].state == ALIVE)
			return i;
	return -1;
}

static void kill_one(int number, int is_reaped)
{
	give(number, DIE, 0);
	while (state_letter(slots[number].pid) != 'Z')
		usleep(200);
	slots[number].state = ZOMBIE;
	pid_t parent = parent_of(slots[number].pid);
	if (!is_reaped)
		return;
	if (parent == root_pid)
		expect("reaped pid", slots[number].pid, waitpid(slots[number].pid, NULL, 0));
	else
		give(find(parent), REAP, slots[number].pid);
	slots[number].state = GONE;
}

static void grow(void)
{
	for (int used = 0; used < SLOTS;) {
		int to = used ? (int)choose(used) : -1, what = choose(37);
		if (to < 0 || what < 3) {
			fork_into(used, 0);
			slots[used++].state = ALIVE;
		} else if (slots[to].state != ALIVE) {
			continue;
		} else if (what < 14) {
			give(to, what < 12 || !SIBLINGS ? FORK : FORK_SIBLING, used);
			slots[used++].state = ALIVE;
		} else if (what < 18) {
			if (DEATHS)
				kill_one(to, what < 17);
		} else if (what < 28) {
			give(to, what < 23 ? REAP_ON : REAP_OFF, 0);
		} else {
			give(to, SETSID, 0);
		}
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	slots = shared_memory(sizeof(*slots) * SLOTS);
	grow();
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].state == GONE)
			continue;
		slots[i].parent = parent_of(slots[i].pid);
		slots[i].session = must(getsid(slots[i].pid));
		slots[i].group = must(getpgid(slots[i].pid));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].state == GONE)
			continue;
		expect("session by getsid", slots[i].session, getsid(slots[i].pid));
		expect("group by getpgid", slots[i].group, getpgid(slots[i].pid));
		if (slots[i].state == ALIVE)
			give(i, CHECK, 0);
		else
			expect("state", 'Z', state_letter(slots[i].pid));
	}
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].state == ALIVE)
			give(i, QUIT, 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	pass();
}
