// SPDX-License-Identifier: GPL-2.0-only
// A program with 4 MiB of memory of its own, whose content is known: 64-bit word i is i * 3. It says READY; at SIGUSR1 it
// gives the fifth page back, and puts into the first word what came of it: 1 and the error number, or 1.
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES (4ul << 20)

int main(void)
{
	sigset_t asked;
	int signal;

	sigemptyset(&asked);
	sigaddset(&asked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &asked, NULL);
	uint64_t *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return 1;
	for (uint64_t i = 0; i < BYTES / 8; i++)
		at[i] = i * 3;
	printf("READY %lx\n", (unsigned long)at);
	fflush(stdout);
	while (sigwait(&asked, &signal) == 0) {
		int failed = madvise((char *)at + 4 * 4096, 4096, MADV_DONTNEED) ? errno : 0;
		*(volatile uint64_t *)at = 1 + failed;
	}
	return 1;
}
