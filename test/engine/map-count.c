// SPDX-License-Identifier: GPL-2.0-only
// map-count: a program with as many mappings as the kernel lets it have. Says "ready" and waits for the end of its input.
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096L
#define ROOM (1L << 32)

int main(void)
{
	char *base = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char byte;

	if (base == MAP_FAILED || setvbuf(stdout, NULL, _IONBF, 0) != 0)
		return 1;
	for (long at = 0; at < ROOM; at += 2 * PAGE)
		if (mprotect(base + at, PAGE, PROT_READ) != 0)
			break;
	/* What cuts nothing in two still goes. */
	while (mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		;
	if (write(1, "ready\n", 6) != 6)
		return 1;
	return read(0, &byte, 1) == 0 ? 0 : 1;
}
