// SPDX-License-Identifier: GPL-2.0-only
// A program that never used floating point gets initial FPU state, with the default MXCSR and control word.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	unsigned mxcsr_before, mxcsr_after;
	unsigned short control_before, control_after;
	asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr_before), "=m"(control_before));
	ready();
	wait_for_trigger();
	asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr_after), "=m"(control_after));
	expect("MXCSR", mxcsr_before, mxcsr_after);
	expect("control word", control_before, control_after);
	pass();
}
