// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for memory of memfd_secret, which only the program itself can read, and it's there afterwards.
// @expect refused SECRET_MEMORY
#include "scenario.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = (int)syscall(447 /* memfd_secret */, O_CLOEXEC);
	if (fd < 0)
		skip("memfd_secret: %s", strerror(errno));
	must(ftruncate(fd, 4096));
	char *secret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must_be(secret != MAP_FAILED);
	strcpy(secret, "nobody else's");
	must(close(fd));
	ready();
	wait_for_trigger();
	expect("the secret", 0, strcmp(secret, "nobody else's"));
	pass();
}
