// SPDX-License-Identifier: GPL-2.0-only
// CLONE_FS: a child that shares working directory, root and umask with its parent; another child doesn't.
// @skip-peer CRIU 4.1.1 refuses working directory and root shared by processes
#include "tree.h"

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	must(chdir("/usr"));
	umask(0123);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	umask(077);
	must(mkdir("inside", 0700));
	must(chdir("inside"));
	pid_t child = start_child_by(CLONE_FS | SIGCHLD, run, NULL), apart = start_child(run, NULL);
	ready();
	wait_for_trigger();
	char path[256];
	check_child(apart);
	must_be(getcwd(path, sizeof(path)) && strstr(path, "/work/inside"));
	expect("kcmp", 0, syscall(SYS_kcmp, getpid(), child, 3 /* KCMP_FS */, 0, 0));
	check_child(child);
	must_be(getcwd(path, sizeof(path)));
	expect_text("working directory that the child set", "/usr", path);
	expect("umask that the child set", 0123, umask(0));
	pass();
}
