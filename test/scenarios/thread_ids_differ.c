// SPDX-License-Identifier: GPL-2.0-only
// Threads with user and group ids of their own (raw calls change one thread only), filesystem ids and groups among them.
// @cflags -pthread
#include "threads.h"
#include <grp.h>

static const struct ids { uid_t uid[4]; gid_t gid[4]; int groups; gid_t group[4]; } wanted[] = {
	{ { 99, 99, 99, 99 }, { 99, 99, 99, 99 }, 1, { 5 } },
	{ { 1, 0, 3, 4 }, { 5, 6, 7, 8 }, 4, { 11, 12, 4000000000U, 4294967294U } },
	{ { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, 0, { 0 } },
	{ { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, 2, { 8, 9 } },
};
enum { N = sizeof(wanted) / sizeof(*wanted) - 1 };

static void set_ids(const struct ids *ids)
{
	must(syscall(SYS_setgroups, ids->groups, ids->group));
	must(syscall(SYS_setresgid, ids->gid[0], ids->gid[1], ids->gid[2]));
	syscall(SYS_setfsgid, ids->gid[3]);
	must(syscall(SYS_setresuid, ids->uid[0], ids->uid[1], ids->uid[2]));
	syscall(SYS_setfsuid, ids->uid[3]);
}

static void check_ids(const char *who, const struct ids *ids)
{
	uid_t u[3];
	gid_t g[3], groups[8];
	must(syscall(SYS_getresuid, &u[0], &u[1], &u[2]));
	must(syscall(SYS_getresgid, &g[0], &g[1], &g[2]));
	for (int i = 0; i < 3; i++) {
		expect(who, ids->uid[i], u[i]);
		expect(who, ids->gid[i], g[i]);
	}
	expect(who, ids->uid[3], syscall(SYS_setfsuid, -1));
	expect(who, ids->gid[3], syscall(SYS_setfsgid, -1));
	expect(who, ids->groups, syscall(SYS_getgroups, 8, groups));
	for (int i = 0; i < ids->groups; i++)
		expect(who, ids->group[i], groups[i]);
}

static void *run(void *arg)
{
	set_ids(&wanted[(long)arg]);
	arrive_and_wait();
	check_ids("ids of a thread", &wanted[(long)arg]);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, N);
	set_ids(&wanted[N]);
	ready();
	wait_for_trigger();
	check_ids("ids of the main thread", &wanted[N]);
	set_value(&released_word, 1);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
