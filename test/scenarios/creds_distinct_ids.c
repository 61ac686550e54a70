// SPDX-License-Identifier: GPL-2.0-only
// Real, effective, saved and filesystem ids of user and group, all different, and the supplementary groups.
// @trigger file
// @peer-needs cap:sys_resource
#include "scenario.h"
#include <grp.h>
#include <sys/fsuid.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(fchmod(scenario_out, 0666));
	gid_t groups[] = { 7000, 3, 100, 65533, 12 }, got[16];
	if (setgroups(5, groups) < 0)
		skip("setgroups: %s", strerror(errno));
	must(setresgid(5, 6, 7));
	setfsgid(8);
	must(setresuid(1, 2, 3));
	must_be(setfsuid(-1) == 2);
	ready();
	wait_for_file();
	uid_t r, e, s;
	must(getresuid(&r, &e, &s));
	expect("real uid", 1, r);
	expect("effective uid", 2, e);
	expect("saved uid", 3, s);
	expect("filesystem uid", 2, setfsuid(-1));
	must(getresgid(&r, &e, &s));
	expect("real gid", 5, r);
	expect("effective gid", 6, e);
	expect("saved gid", 7, s);
	expect("filesystem gid", 8, setfsgid(-1));
	expect("number of groups", 5, getgroups(16, got));
	const gid_t sorted[] = { 3, 12, 100, 7000, 65533 };
	for (int i = 0; i < 5; i++)
		expect("group", sorted[i], got[i]);
	pass();
}
