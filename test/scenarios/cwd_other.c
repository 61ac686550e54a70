// SPDX-License-Identifier: GPL-2.0-only
// The working directory is another one, and a descriptor leads back to the old.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char before[4096], after[4096];
	int back = must(open(".", O_RDONLY | O_DIRECTORY));
	must(mkdir("inner dir", 0700));
	must(chdir("inner dir"));
	must_be(getcwd(before, sizeof(before)) != NULL);
	ready();
	wait_for_trigger();
	must_be(getcwd(after, sizeof(after)) != NULL);
	expect_text("working directory", before, after);
	must(fchdir(back));
	must(rmdir("inner dir"));
	pass();
}
