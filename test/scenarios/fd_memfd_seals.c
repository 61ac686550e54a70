// SPDX-License-Identifier: GPL-2.0-only
// Seals of memfds hold: against writing, growing and shrinking, with content that had to be there before.
#include "scenario.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

static int make(const char *text, int seals, unsigned flags)
{
	int fd = must(memfd_create(text, MFD_ALLOW_SEALING | flags));
	must_be(write(fd, text, 5) == 5);
	must(fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int written = make("write", F_SEAL_WRITE, 0), sized = make("sizes", F_SEAL_GROW | F_SEAL_SHRINK, 0);
	int all = make("final", F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL, 0), none = make("opens", 0, 0);
	int later = must(memfd_create("later", MFD_ALLOW_SEALING));
	must(ftruncate(later, PAGE));
	char *map = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, later, 0));
	char *view = must(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, written, 0));
	must(fcntl(later, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	strcpy(map, "mapped");
	ready();
	wait_for_trigger();
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", written);
	int again = must(open(path, O_RDWR));
	expect("seals", F_SEAL_WRITE, fcntl(again, F_GET_SEALS));
	expect("shared mapping", -1, (long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, written, 0));
	expect("its errno", EPERM, errno);
	expect_bytes("private mapping", "write", view, 5);
	expect("write", -1, write(written, "x", 1));
	expect("seals", F_SEAL_GROW | F_SEAL_SHRINK, fcntl(sized, F_GET_SEALS));
	expect("growing", -1, ftruncate(sized, 6));
	expect("shrinking", -1, ftruncate(sized, 4));
	must_be(pwrite(sized, "y", 1, 0) == 1);
	expect("seals", 15, fcntl(all, F_GET_SEALS));
	expect("one more seal", -1, fcntl(all, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	expect("seals", 0, fcntl(none, F_GET_SEALS));
	must(fcntl(none, F_ADD_SEALS, F_SEAL_SHRINK));
	expect("seals", F_SEAL_FUTURE_WRITE, fcntl(later, F_GET_SEALS));
	expect_text("mapping of before", "mapped", map);
	strcpy(map, "works");
	expect("write", -1, pwrite(later, "x", 1, 0));
	pass();
}
