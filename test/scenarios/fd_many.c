// SPDX-License-Identifier: GPL-2.0-only
// 300 open files, each at a position of its own.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	enum { N = 300 };
	int fds[N];
	for (int i = 0; i < N; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%d", i);
		fds[i] = must(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
		must_be(write(fds[i], name, strlen(name)) > 0);
		must(lseek(fds[i], i, SEEK_SET));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		char name[16], got[16] = { 0 };
		snprintf(name, sizeof(name), "f%d", i);
		expect("position", i, lseek(fds[i], 0, SEEK_CUR));
		must(pread(fds[i], got, 15, 0));
		expect_text("content", name, got);
	}
	pass();
}
