// SPDX-License-Identifier: GPL-2.0-only
// MADV_DONTFORK and MADV_WIPEONFORK hold for forks after the restore, and for the child that was forked before.
// @skip-peer CRIU 4.1.1 does not know MADV_WIPEONFORK
#include "tree.h"

static char *dont, *wipe;

static void look(void)
{
	unsigned char there;
	expect("what's not for children", -1, mincore(dont, PAGE, &there));
	expect("its errno", ENOMEM, errno);
	expect("what's wiped for children", 0, wipe[5]);
}

static void run(void *arg)
{
	(void)arg;
	look();
	arrive_and_wait();
	look();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	dont = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	wipe = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(madvise(dont, 4 * PAGE, MADV_DONTFORK));
	must(madvise(wipe, 4 * PAGE, MADV_WIPEONFORK));
	dont[5] = wipe[5] = 55;
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	expect("own byte", 55, dont[5]);
	expect("own byte", 55, wipe[5]);
	check_child(child);
	pid_t late = start_child(run, NULL);
	check_child(late);
	pass();
}
