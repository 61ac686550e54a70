// SPDX-License-Identifier: GPL-2.0-only
// A program whose executable has been deleted while it runs.
#include "scenario.h"

int main(int argc, char **argv)
{
	if (argc == 2) {
		int fd = open("copy", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755), self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		char buffer[65536];
		ssize_t n;
		while ((n = read(self, buffer, sizeof(buffer))) > 0)
			if (write(fd, buffer, n) != n)
				return 2;
		close(fd);
		execl("copy", "a name of its own", argv[1], "second", NULL);
		return 3;
	}
	scenario_start(argc, argv);
	must(unlink("copy"));
	char before[4096] = { 0 }, after[4096] = { 0 };
	must(readlink("/proc/self/exe", before, sizeof(before) - 1));
	ready();
	wait_for_trigger();
	must(readlink("/proc/self/exe", after, sizeof(after) - 1));
	expect_text("exe link", before, after);
	pass();
}
