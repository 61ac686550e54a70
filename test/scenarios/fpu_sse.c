// SPDX-License-Identifier: GPL-2.0-only
// All sixteen XMM registers and an unusual MXCSR survive in a loop that makes no system call.
// @busy
#include "scenario.h"

#define L(i) "movdqu " #i "*16(%[in]), %%xmm" #i "\n\t"
#define S(i) "movdqu %%xmm" #i ", " #i "*16(%[out])\n\t"
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static unsigned char in[256], out[256];
	fill(in, sizeof(in), 99);
	unsigned mxcsr = 0x7fa0, seen = 0, old = 0; // round to zero, flush to zero off, all masked, precision flag set
	volatile sig_atomic_t *flag = &scenario_triggered;
	ready();
	asm volatile("stmxcsr %[old]\n\tldmxcsr %[mxcsr]\n\t" ALL(L) "1:\n\tcmpl $0, (%[flag])\n\tje 1b\n\t" ALL(S)
		     "stmxcsr %[seen]\n\tldmxcsr %[old]\n"
		     : [seen] "=m"(seen), [old] "+m"(old)
		     : [in] "r"(in), [out] "r"(out), [mxcsr] "m"(mxcsr), [flag] "r"(flag)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
		       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	expect("MXCSR", mxcsr, seen);
	expect_bytes("XMM registers", in, out, sizeof(in));
	pass();
}
