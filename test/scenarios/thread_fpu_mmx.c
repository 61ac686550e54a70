// SPDX-License-Identifier: GPL-2.0-only
// MMX registers with live results, in a second thread, and others in a third.
// @cflags -pthread
// @busy threads
#include "threads.h"

static void *run(void *arg)
{
	unsigned char in[64], out[64];
	fill(in, sizeof(in), (long)arg);
	unsigned *flag = &released_word;
	arrive();
	asm volatile("movq 0(%[in]), %%mm0\n\tmovq 8(%[in]), %%mm1\n\tmovq 16(%[in]), %%mm2\n\tmovq 24(%[in]), %%mm3\n\t"
		     "movq 32(%[in]), %%mm4\n\tmovq 40(%[in]), %%mm5\n\tmovq 48(%[in]), %%mm6\n\tmovq 56(%[in]), %%mm7\n"
		     "1:\n\tpause\n\tcmpl $0, (%[flag])\n\tje 1b\n\t"
		     "movq %%mm0, 0(%[out])\n\tmovq %%mm1, 8(%[out])\n\tmovq %%mm2, 16(%[out])\n\tmovq %%mm3, 24(%[out])\n\t"
		     "movq %%mm4, 32(%[out])\n\tmovq %%mm5, 40(%[out])\n\tmovq %%mm6, 48(%[out])\n\tmovq %%mm7, 56(%[out])\n\temms\n"
		     :
		     : [in] "r"(in), [out] "r"(out), [flag] "r"(flag)
		     : "memory", "cc", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7");
	expect_bytes("MMX registers", in, out, 64);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2] = { start_thread(run, (void *)41), start_thread(run, (void *)42) };
	checkpoint_threads(2);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
