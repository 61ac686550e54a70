// SPDX-License-Identifier: GPL-2.0-only
// A plain unprivileged user without any capability.
// @peer-needs cap:sys_resource
#include "scenario.h"
#include <grp.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(setgroups(0, NULL));
	must(setresgid(65534, 65534, 65534));
	must(setresuid(65534, 65534, 65534));
	int fd = must(open("mine", O_RDWR | O_CREAT | O_EXCL, 0600));
	must_be(write(fd, "text", 4) == 4);
	ready();
	wait_for_trigger();
	expect("uid", 65534, getuid());
	expect("becoming root", -1, setuid(0));
	char text[5] = { 0 };
	must_be(pread(fd, text, 4, 0) == 4);
	expect_text("own file", "text", text);
	expect("groups", 0, getgroups(0, NULL));
	pass();
}
