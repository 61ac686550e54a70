// SPDX-License-Identifier: GPL-2.0-only
// CLONE_FS by a child with its own child, both under another root directory (chroot) than the tree's root.
// @skip-peer CRIU 4.1.1 refuses working directory and root shared by processes
#include "tree.h"

static void leaf(void *arg)
{
	(void)arg;
	arrive_and_wait();
	must(chdir("/down"));
}

static void middle(void *arg)
{
	(void)arg;
	must(mkdir("jail", 0755));
	must(mkdir("jail/down", 0755));
	must(chroot("jail"));
	must(chdir("/"));
	pid_t child = start_child_by(CLONE_FS | SIGCHLD, leaf, NULL);
	arrive_and_wait();
	check_child(child);
	char path[256];
	must_be(getcwd(path, sizeof(path)));
	expect_text("working directory that the child set", "/down", path);
	expect("what's outside", -1, access("/usr", F_OK));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(middle, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	must_be(access("/usr", F_OK) == 0);
	pass();
}
