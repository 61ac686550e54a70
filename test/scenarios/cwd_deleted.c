// SPDX-License-Identifier: GPL-2.0-only
// The working directory has been removed.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char link[4096];
	int back = must(open(".", O_RDONLY | O_DIRECTORY));
	must(mkdir("gone", 0700));
	must(chdir("gone"));
	must(rmdir("../gone"));
	ready();
	wait_for_trigger();
	ssize_t n = must(readlink("/proc/self/cwd", link, sizeof(link) - 1));
	link[n] = 0;
	must_be(strstr(link, "/gone") != NULL && strstr(link, " (deleted)") != NULL);
	expect("getcwd", -1, syscall(SYS_getcwd, link, sizeof(link)));
	expect("its errno", ENOENT, errno);
	must(fchdir(back));
	expect("the directory exists", -1, access("gone", F_OK));
	pass();
}
