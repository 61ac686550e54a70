// SPDX-License-Identifier: GPL-2.0-only
// Advice given by madvise and the flags of mmap stay on their mappings (compared by the harness through VmFlags) with the data.
// @peer-may-differ smaps/.*/VmFlags CRIU 4.1.1 does not know MADV_WIPEONFORK
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int advice[] = { MADV_DONTFORK, MADV_DONTDUMP, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE,
			       MADV_WIPEONFORK, MADV_SEQUENTIAL, MADV_RANDOM };
	enum { N = sizeof(advice) / sizeof(*advice) };
	char *at[N + 1], *plain[N];
	for (int i = 0; i < N; i++) {
		at[i] = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		plain[i] = must(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		if (madvise(at[i], 2 * PAGE, advice[i]) < 0 && errno != EINVAL)
			fail("madvise %d, wanted success, got errno %d", advice[i], errno);
		fill(at[i], 2 * PAGE, i);
	}
	at[N] = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	must(madvise(at[N], 2 * PAGE, MADV_DONTDUMP));
	must(madvise(at[N], 2 * PAGE, MADV_DONTFORK));
	fill(at[N], 2 * PAGE, N);
	ready();
	wait_for_trigger();
	for (int i = 0; i <= N; i++)
		expect_fill("advised mapping", at[i], 2 * PAGE, i);
	for (int i = 0; i < N; i++)
		expect("neighbour", 0, plain[i][1]);
	pass();
}
