// SPDX-License-Identifier: GPL-2.0-only
// 40 deleted files, each with content, some of the same former name, some held by two descriptors.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	enum { N = 40 };
	int fds[N], twins[N];
	for (int i = 0; i < N; i++) {
		char name[32];
		snprintf(name, sizeof(name), "ghost%d", i / 2);
		fds[i] = must(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
		twins[i] = must(open(name, O_RDONLY));
		must_be(write(fds[i], &i, sizeof(i)) == sizeof(i));
		must(unlink(name));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		int got = -1;
		must_be(read(twins[i], &got, sizeof(got)) == sizeof(got));
		expect("number in the file", i, got);
		must_be(write(fds[i], &i, sizeof(i)) == sizeof(i));
		must_be(read(twins[i], &got, sizeof(got)) == sizeof(got));
	}
	pass();
}
