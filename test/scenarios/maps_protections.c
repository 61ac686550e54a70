// SPDX-License-Identifier: GPL-2.0-only
// @memory
// Private and shared anonymous and file mappings of every protection keep protection and data, also those that can't be read.
#include "scenario.h"
#include <setjmp.h>

static sigjmp_buf back;
static void on_fault(int sig)
{
	siglongjmp(back, sig);
}
static int can_read(volatile char *at)
{
	if (sigsetjmp(back, 1))
		return 0;
	(void)*at;
	return 1;
}
static int can_write(volatile char *at)
{
	if (sigsetjmp(back, 1))
		return 0;
	*at = *at;
	return 1;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC,
			      PROT_READ | PROT_EXEC, PROT_EXEC, PROT_WRITE };
	const int flags[] = { MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED };
	enum { N = 7, K = 4 };
	char *at[N][K];
	for (int p = 0; p < N; p++) {
		for (int k = 0; k < K; k++) {
			int fd = -1;
			if (!(flags[k] & MAP_ANONYMOUS)) {
				char name[32];
				snprintf(name, sizeof(name), "file%d%d", p, k);
				fd = must(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
				must(ftruncate(fd, 2 * PAGE));
			}
			at[p][k] = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, flags[k], fd, 0));
			fill(at[p][k], 2 * PAGE, p * 10 + k);
			must(mprotect(at[p][k], 2 * PAGE, prots[p]));
			if (fd >= 0)
				close(fd);
		}
	}
	struct sigaction act = { .sa_handler = on_fault };
	must(sigaction(SIGSEGV, &act, NULL));
	ready();
	wait_for_trigger();
	for (int p = 0; p < N; p++) {
		for (int k = 0; k < K; k++) {
			char what[64];
			snprintf(what, sizeof(what), "prot %d kind %d", prots[p], k);
			int readable = prots[p] != PROT_NONE && (prots[p] != PROT_EXEC);
			if (prots[p] != PROT_EXEC) // execute-only may be readable, with or without protection keys
				expect(what, readable, can_read(at[p][k]));
			expect(what, !!(prots[p] & PROT_WRITE), can_write(at[p][k]));
			must(mprotect(at[p][k], 2 * PAGE, PROT_READ | PROT_WRITE));
			expect_fill(what, at[p][k], 2 * PAGE, p * 10 + k);
		}
	}
	pass();
}
