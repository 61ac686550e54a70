// SPDX-License-Identifier: GPL-2.0-only
// A handler for SIGTRAP, the signal that tracers use, works after the restore.
#include "scenario.h"

static volatile int traps;
static void on_trap(int sig)
{
	(void)sig;
	traps++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_trap };
	must(sigaction(SIGTRAP, &act, NULL));
	ready();
	wait_for_trigger();
	expect("traps before", 0, traps);
	must(kill(getpid(), SIGTRAP));
	expect("traps by kill", 1, traps);
	asm volatile("int3");
	expect("traps by int3", 2, traps);
	pass();
}
