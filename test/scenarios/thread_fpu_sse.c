// SPDX-License-Identifier: GPL-2.0-only
// XMM registers and MXCSR of three threads, all different, in loops without system calls; the main thread sleeps with a
// default MXCSR.
// @cflags -pthread
// @busy threads
#include "threads.h"

#define L(i) "movdqu " #i "*16(%[in]), %%xmm" #i "\n\t"
#define S(i) "movdqu %%xmm" #i ", " #i "*16(%[out])\n\t"
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static const unsigned modes[] = { 0x7fa0, 0x3f80 | 0x8001, 0x5fd5 }; // rounding, flush to zero, flags: each another

static void *run(void *arg)
{
	unsigned char in[256], out[256];
	fill(in, sizeof(in), 60 + (long)arg);
	unsigned mxcsr = modes[(long)arg], seen = 0, old = 0, *flag = &released_word;
	arrive();
	asm volatile("stmxcsr %[old]\n\tldmxcsr %[mxcsr]\n\t" ALL(L) "1:\n\tpause\n\tcmpl $0, (%[flag])\n\tje 1b\n\t" ALL(S)
		     "stmxcsr %[seen]\n\tldmxcsr %[old]\n"
		     : [seen] "=m"(seen), [old] "+m"(old)
		     : [in] "r"(in), [out] "r"(out), [mxcsr] "m"(mxcsr), [flag] "r"(flag)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
		       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	expect("MXCSR", mxcsr, seen);
	expect_bytes("XMM registers", in, out, sizeof(in));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[3];
	for (long i = 0; i < 3; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(3);
	unsigned mxcsr = 0;
	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	expect("MXCSR of the main thread", 0x1f80, mxcsr & ~0x3f);
	for (int i = 0; i < 3; i++)
		join_thread(threads[i]);
	pass();
}
