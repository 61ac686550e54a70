// SPDX-License-Identifier: GPL-2.0-only
// YMM registers and all registers that a system call keeps are live across a futex wait in two threads.
// @cflags -pthread -mavx
// @needs cpu:avx
#include "threads.h"

#define L(i) "vmovdqu " #i "*32(%[in]), %%ymm" #i "\n\t"
#define S(i) "vmovdqu %%ymm" #i ", " #i "*32(%[out])\n\t"
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void *run(void *arg)
{
	unsigned char in[512], out[512];
	unsigned long regs[4] = { 0 }, seed = 0x1111111111111111UL * (long)arg;
	fill(in, sizeof(in), (long)arg);
	arrive();
	asm volatile(ALL(L)
		     "mov %[seed], %%r12\n\tlea 1(%%r12), %%r13\n\tlea 2(%%r12), %%r14\n\tlea 3(%%r12), %%r9\n"
		     "1:\n\tlea released_word(%%rip), %%rdi\n\tmov $128, %%esi\n\txor %%edx, %%edx\n\txor %%r10d, %%r10d\n\t"
		     "mov $202, %%eax\n\tsyscall\n\tcmpl $0, released_word(%%rip)\n\tje 1b\n\t" ALL(S)
		     "mov %%r12, 0(%[regs])\n\tmov %%r13, 8(%[regs])\n\tmov %%r14, 16(%[regs])\n\tmov %%r9, 24(%[regs])\n\tvzeroupper\n"
		     :
		     : [in] "b"(in), [out] "r"(out), [regs] "r"(regs), [seed] "r"(seed)
		     : "memory", "cc", "rax", "rcx", "rdx", "rdi", "rsi", "r9", "r10", "r11", "r12", "r13", "r14", "ymm0", "ymm1",
		       "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9", "ymm10", "ymm11", "ymm12", "ymm13", "ymm14",
		       "ymm15");
	expect_bytes("YMM registers", in, out, sizeof(in));
	for (int i = 0; i < 4; i++)
		expect("register", seed + i, regs[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2] = { start_thread(run, (void *)3), start_thread(run, (void *)4) };
	checkpoint_threads(2);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
