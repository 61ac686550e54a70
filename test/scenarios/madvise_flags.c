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
	// Between pages that can only be read: where the advice is lost, nothing else grows together with it.
	char *plain = must(mmap(NULL, (3 * N + 4) * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *at[N + 1];
	for (int i = 0; i <= N; i++) {
		int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (i == N ? MAP_NORESERVE : 0);
		at[i] = must(mmap(plain + (3 * i + 1) * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0));
		if (i < N && madvise(at[i], 2 * PAGE, advice[i]) < 0 && errno != EINVAL)
			fail("madvise %d, wanted success, got errno %d", advice[i], errno);
		fill(at[i], 2 * PAGE, i);
	}
	must(madvise(at[N], 2 * PAGE, MADV_DONTDUMP));
	must(madvise(at[N], 2 * PAGE, MADV_DONTFORK));
	ready();
	wait_for_trigger();
	for (int i = 0; i <= N; i++)
		expect_fill("advised mapping", at[i], 2 * PAGE, i);
	for (int i = 0; i <= N + 1; i++)
		expect("neighbour", 0, plain[3 * i * PAGE + 1]);
	pass();
}
