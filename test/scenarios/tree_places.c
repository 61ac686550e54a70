// SPDX-License-Identifier: GPL-2.0-only
// Children with working directory, root and umask of their own: another folder, a deleted one, a chroot.
#include "tree.h"

static void run(void *arg)
{
	long number = (long)arg;
	char path[256];
	umask(number * 011);
	if (number == 0)
		must(chdir("/usr/bin"));
	else if (number == 1) {
		must(mkdir("gone", 0700));
		must(chdir("gone"));
		must(rmdir("../gone"));
	} else if (number == 2) {
		must(mkdir("jail", 0700));
		must(mkdir("jail/cell", 0700));
		must(chroot("jail"));
		must(chdir("/cell"));
	}
	arrive_and_wait();
	expect("umask", number * 011, umask(0));
	if (number == 1) {
		must_be(getcwd(path, sizeof(path)) == NULL);
		expect("errno of getcwd", ENOENT, errno);
		return;
	}
	must_be(getcwd(path, sizeof(path)));
	if (number == 0)
		expect_text("working directory", "/usr/bin", path);
	else if (number == 2) {
		expect_text("working directory", "/cell", path);
		expect("what's outside", -1, access("/usr", F_OK));
	} else
		must_be(strstr(path, "/work"));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[4];
	for (long i = 0; i < 4; i++)
		children[i] = start_child(run, (void *)i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 4; i++)
		check_child(children[i]);
	must_be(access("/usr", F_OK) == 0);
	pass();
}
