// SPDX-License-Identifier: GPL-2.0-only
// Memory of a TCP socket, into which the kernel puts what arrives (TCP_ZEROCOPY_RECEIVE): nothing of it can be made again.
// @expect refused SOCKET_MEMORY
#include "inet.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(socket(AF_INET, SOCK_STREAM, 0));
	void *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	must_be(memory != MAP_FAILED);
	ready();
	wait_for_trigger();
	must(munmap(memory, 4096));
	pass();
}
