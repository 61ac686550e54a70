// SPDX-License-Identifier: GPL-2.0-only
// @memory
// mlock, mlock2(MLOCK_ONFAULT) and an unlocked neighbour keep their lock state.
// @peer-may-differ smaps/.*/VmFlags CRIU 4.1.1 has no place for "locked on fault" in its images
#include "scenario.h"

static unsigned long locked_kib(void)
{
	char text[4096];
	int fd = must(open("/proc/self/status", O_RDONLY));
	ssize_t n = must(read(fd, text, sizeof(text) - 1));
	text[n] = 0;
	close(fd);
	return strtoul(strstr(text, "VmLck:") + 6, NULL, 10);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *at = must(mmap(NULL, 48 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, 48 * PAGE, 1);
	must(mlock(at, 16 * PAGE));
	must(mlock2(at + 32 * PAGE, 8 * PAGE, MLOCK_ONFAULT));
	unsigned long kib = locked_kib();
	expect("VmLck before", 24 * 4, kib);
	ready();
	wait_for_trigger();
	expect("VmLck", kib, locked_kib());
	expect_fill("data", at, 48 * PAGE, 1);
	must(munlock(at, 48 * PAGE));
	expect("VmLck after munlock", 0, locked_kib());
	pass();
}
