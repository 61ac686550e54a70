// SPDX-License-Identifier: GPL-2.0-only
// The x87 stack, full to its eighth register, the control word and the status word survive.
// @busy
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	long double in[8], out[8];
	for (int i = 0; i < 8; i++)
		in[i] = (i + 1) * 1.2345678901234567L / 3 - i * i;
	unsigned short control = 0x0f7f, control_seen = 0, status_before = 0, status_seen = 0; // round to zero, all masked
	volatile sig_atomic_t *flag = &scenario_triggered;
	memset(out, 0, sizeof(out));
	ready();
	asm volatile("fninit\n\tfldcw %[control]\n\t"
		     "fldt 0(%[in])\n\tfldt 16(%[in])\n\tfldt 32(%[in])\n\tfldt 48(%[in])\n\t"
		     "fldt 64(%[in])\n\tfldt 80(%[in])\n\tfldt 96(%[in])\n\tfldt 112(%[in])\n\t"
		     "fnstsw %[before]\n"
		     "1:\n\tcmpl $0, (%[flag])\n\tje 1b\n\t"
		     "fnstcw %[control_seen]\n\tfnstsw %[status_seen]\n\t"
		     "fstpt 112(%[out])\n\tfstpt 96(%[out])\n\tfstpt 80(%[out])\n\tfstpt 64(%[out])\n\t"
		     "fstpt 48(%[out])\n\tfstpt 32(%[out])\n\tfstpt 16(%[out])\n\tfstpt 0(%[out])\n\tfninit\n"
		     : [control_seen] "=m"(control_seen), [status_seen] "=m"(status_seen), [before] "=m"(status_before)
		     : [in] "r"(in), [out] "r"(out), [control] "m"(control), [flag] "r"(flag)
		     : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
	expect("control word", control, control_seen);
	expect("status word", status_before, status_seen);
	for (int i = 0; i < 8; i++)
		expect_bytes("x87 register", &in[i], &out[i], 10);
	pass();
}
