// SPDX-License-Identifier: GPL-2.0-only
// A file mapped privately, in thousands of pieces by alternating protections, a third of them written.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	enum { N = 3000 };
	int fd = must(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	must(ftruncate(fd, N * PAGE));
	char *at = must(mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	for (long i = 0; i < N; i += 3)
		*(long *)(at + i * PAGE) = i + 1;
	for (long i = 0; i < N; i += 2)
		must(mprotect(at + i * PAGE, PAGE, PROT_READ));
	close(fd);
	ready();
	wait_for_trigger();
	for (long i = 0; i < N; i++)
		expect("page's number", i % 3 ? 0 : i + 1, *(long *)(at + i * PAGE));
	pass();
}
