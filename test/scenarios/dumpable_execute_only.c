// SPDX-License-Identifier: GPL-2.0-only
// An unprivileged user's process whose program may be executed but not read, so that the kernel made it undumpable.
// @trigger file
// @peer-needs cap:sys_resource
#include "scenario.h"
#include <grp.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	if (argc == 2) {
		scenario_start(argc, argv);
		must(fchmod(scenario_out, 0666));
		int in = must(open("/proc/self/exe", O_RDONLY)), out = must(open("copy", O_WRONLY | O_CREAT | O_EXCL, 0700));
		char buffer[65536];
		for (ssize_t n; (n = must(read(in, buffer, sizeof(buffer)))) > 0;)
			must_be(write(out, buffer, n) == n);
		must(fchmod(out, 0111));
		must(close(in));
		must(close(out));
		must(setgroups(0, NULL));
		must(setresgid(65534, 65534, 65534));
		must(setresuid(65534, 65534, 65534));
		must(execl("copy", "copy", argv[1], "again", NULL));
	}
	scenario_start(argc, argv);
	int before = must(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	must_be(before != 1);
	ready();
	wait_for_file();
	expect("dumpable", before, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	pass();
}
