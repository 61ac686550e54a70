// SPDX-License-Identifier: GPL-2.0-only
// An odd umask.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	umask(0345);
	ready();
	wait_for_trigger();
	expect("umask", 0345, umask(0));
	pass();
}
