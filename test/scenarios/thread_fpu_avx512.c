// SPDX-License-Identifier: GPL-2.0-only
// All ZMM and mask registers of two threads, in loops without system calls.
// @cflags -pthread -mavx512f -mavx512bw
// @needs cpu:avx512f cpu:avx512bw
// @busy threads
#include "threads.h"

#define L(i) "vmovdqu64 " #i "*64(%[in]), %%zmm" #i "\n\t"
#define S(i) "vmovdqu64 %%zmm" #i ", " #i "*64(%[out])\n\t"
#define LK(i) "kmovq 2048+" #i "*8(%[in]), %%k" #i "\n\t"
#define SK(i) "kmovq %%k" #i ", 2048+" #i "*8(%[out])\n\t"
#define EIGHT(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define ALL(X) EIGHT(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) \
		X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)

static void *run(void *arg)
{
	unsigned char in[2048 + 64], out[2048 + 64];
	fill(in, sizeof(in), (long)arg);
	unsigned *flag = &released_word;
	arrive();
	asm volatile(ALL(L) EIGHT(LK) "1:\n\tpause\n\tcmpl $0, (%[flag])\n\tje 1b\n\t" ALL(S) EIGHT(SK) "vzeroupper\n"
		     :
		     : [in] "r"(in), [out] "r"(out), [flag] "r"(flag)
		     : "memory", "cc", "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10",
		       "zmm11", "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20", "zmm21", "zmm22",
		       "zmm23", "zmm24", "zmm25", "zmm26", "zmm27", "zmm28", "zmm29", "zmm30", "zmm31", "k0", "k1", "k2", "k3", "k4",
		       "k5", "k6", "k7");
	expect_bytes("ZMM and mask registers", in, out, sizeof(in));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2] = { start_thread(run, (void *)97), start_thread(run, (void *)98) };
	checkpoint_threads(2);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
