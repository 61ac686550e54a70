// SPDX-License-Identifier: GPL-2.0-only
// A program that spins in user mode without any system call goes on spinning until its signal comes.
// @busy
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	ready();
	volatile unsigned long turns = 0;
	do
		turns++;
	while (!scenario_triggered);
	must_be(turns > 0);
	pass();
}
