// SPDX-License-Identifier: GPL-2.0-only
// Children of other users, groups and supplementary groups; one has given up root only in part.
// @peer-needs cap:sys_resource
#include "tree.h"
#include <grp.h>

static void run(void *arg)
{
	long number = (long)arg;
	gid_t groups[3] = { 100 + number, 200 + number, 300 }, seen[8];
	must(setgroups(number, groups));
	gid_t gid = 2000 + number;
	uid_t uid = 1000 + number;
	must(setresgid(gid, number == 2 ? 0 : gid, gid));
	must(number == 2 ? setresuid(0, uid, 0) : setresuid(uid, uid, uid));
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); // so that /proc shows it as root's before and after
	arrive_and_wait();
	uid_t r, e, s;
	must(getresuid(&r, &e, &s));
	expect("real user", number == 2 ? 0 : uid, r);
	expect("effective user", uid, e);
	expect("saved user", number == 2 ? 0 : uid, s);
	gid_t gr, ge, gs;
	must(getresgid(&gr, &ge, &gs));
	expect("real group", gid, gr);
	expect("effective group", number == 2 ? 0 : gid, ge);
	expect("saved group", gid, gs);
	expect("supplementary groups", number, getgroups(8, seen));
	for (int i = 0; i < number; i++)
		expect("supplementary group", groups[i], seen[i]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(fchmod(scenario_out, 0666));
	pid_t children[4];
	for (long i = 0; i < 4; i++)
		children[i] = start_child(run, (void *)i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 4; i++)
		check_child(children[i]);
	expect("the root's user", 0, geteuid());
	pass();
}
