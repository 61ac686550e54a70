// SPDX-License-Identifier: GPL-2.0-only
// A program with an executable stack and the code on it.
// @cflags -z execstack
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	volatile unsigned char code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 }; // mov $42, %eax; ret
	ready();
	wait_for_trigger();
	expect("result of the code on the stack", 42, ((int (*)(void))(uintptr_t)code)());
	pass();
}
