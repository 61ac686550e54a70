// SPDX-License-Identifier: GPL-2.0-only
// All sixteen YMM registers of two threads, in loops without system calls.
// @cflags -pthread -mavx
// @needs cpu:avx
// @busy threads
#include "threads.h"

#define L(i) "vmovdqu " #i "*32(%[in]), %%ymm" #i "\n\t"
#define S(i) "vmovdqu %%ymm" #i ", " #i "*32(%[out])\n\t"
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void *run(void *arg)
{
	unsigned char in[512], out[512];
	fill(in, sizeof(in), (long)arg);
	unsigned *flag = &released_word;
	arrive();
	asm volatile(ALL(L) "1:\n\tpause\n\tcmpl $0, (%[flag])\n\tje 1b\n\t" ALL(S) "vzeroupper\n"
		     :
		     : [in] "r"(in), [out] "r"(out), [flag] "r"(flag)
		     : "memory", "cc", "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9", "ymm10",
		       "ymm11", "ymm12", "ymm13", "ymm14", "ymm15");
	expect_bytes("YMM registers", in, out, sizeof(in));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2] = { start_thread(run, (void *)51), start_thread(run, (void *)52) };
	checkpoint_threads(2);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
