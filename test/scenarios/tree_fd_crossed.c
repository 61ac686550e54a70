// SPDX-License-Identifier: GPL-2.0-only
// Descriptions crossed over: two children hold the same two files at swapped numbers, the parent holds neither, and a
// grandchild holds one of them three times.
#include "tree.h"

static int a, b;

static void grandchild(void *arg)
{
	(void)arg;
	must(dup2(a, 80));
	must(dup2(a, 81));
	close(b);
	arrive_and_wait();
	expect("position at 80", 5, lseek(80, 0, SEEK_CUR));
	must(lseek(81, 9, SEEK_SET));
	expect("position at the first number", 9, lseek(a, 0, SEEK_CUR));
}

static void run(void *arg)
{
	int swapped = *(int *)arg;
	pid_t child = 0;
	if (swapped) {
		must(dup2(a, 90));
		must(dup2(b, a));
		must(dup2(90, b));
		close(90);
	} else {
		child = start_child(grandchild, NULL);
	}
	arrive_with(child);
	wait_for_check();
	if (child) {
		check_child(child);
		expect("position that the grandchild set", 9, lseek(a, 0, SEEK_CUR));
		must(lseek(b, 31, SEEK_SET));
	} else {
		expect("position of the first file", 9, lseek(b, 0, SEEK_CUR));
		expect("position of the second file", 31, lseek(a, 0, SEEK_CUR));
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	a = must(open("a", O_RDWR | O_CREAT, 0600));
	b = must(open("b", O_RDWR | O_CREAT, 0600));
	must(lseek(a, 5, SEEK_SET));
	must(lseek(b, 30, SEEK_SET));
	int kinds[2] = { 0, 1 };
	pid_t children[2] = { start_child(run, kinds), start_child(run, kinds + 1) };
	close(a);
	close(b);
	ready();
	wait_for_trigger();
	check_child(children[0]);
	check_child(children[1]);
	pass();
}
