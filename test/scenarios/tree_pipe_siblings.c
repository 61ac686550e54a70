// SPDX-License-Identifier: GPL-2.0-only
// A pipe that only two siblings hold, not their parent, and one held by a parent's child and that one's grandchild.
#include "tree.h"

static int ends[2], deep[2];

static void grandchild(void *arg)
{
	(void)arg;
	close(deep[1]);
	arrive_and_wait();
	char text[8] = "";
	expect("bytes from the grandparent", 5, read(deep[0], text, 8));
	expect_text("data", "hello", text);
}

static void middle(void *arg)
{
	(void)arg;
	pid_t child = start_child(grandchild, NULL);
	close(deep[0]);
	close(deep[1]);
	close(ends[0]);
	must_be(write(ends[1], "early", 5) == 5);
	arrive_and_wait();
	must_be(write(ends[1], "late", 4) == 4);
	check_child(child);
}

static void other(void *arg)
{
	(void)arg;
	close(deep[0]);
	close(ends[1]);
	must_be(write(deep[1], "hello", 5) == 5);
	arrive_and_wait();
	char text[16] = "";
	expect("bytes from the sibling", 9, read(ends[0], text, 16));
	expect_text("data", "earlylate", text);
	expect("end", 0, read(ends[0], text, 16));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(pipe(ends));
	must(pipe(deep));
	pid_t children[2] = { start_child(middle, NULL), start_child(other, NULL) };
	for (int i = 0; i < 2; i++) {
		close(ends[i]);
		close(deep[i]);
	}
	ready();
	wait_for_trigger();
	check_child(children[0]);
	check_child(children[1]);
	pass();
}
