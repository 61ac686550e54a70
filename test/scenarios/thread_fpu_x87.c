// SPDX-License-Identifier: GPL-2.0-only
// A second thread's x87 stack holds a half-done calculation in all eight registers while the main thread joins it.
// @cflags -pthread
// @busy threads
#include "threads.h"

static void *run(void *arg)
{
	long double in[8], out[8] = { 0 };
	unsigned short control = 0x0b7f, control_seen = 0, status_before = 0, status_seen = 0; // round up, all masked
	for (int i = 0; i < 8; i++)
		in[i] = (i + 2) * 0.7654321098765432L / 7 - i;
	volatile sig_atomic_t *flag = &scenario_triggered;
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	must_be(pthread_sigmask(SIG_UNBLOCK, &term, NULL) == 0);
	arrive();
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
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread = start_thread(run, NULL);
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	must_be(pthread_sigmask(SIG_BLOCK, &term, NULL) == 0);
	wait_for_value(&arrived_count, 1);
	ready();
	join_thread(thread);
	pass();
}
