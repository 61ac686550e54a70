// SPDX-License-Identifier: GPL-2.0-only
// A program in pause() stays in it until the trigger; it does not return at the restore.
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	ready();
	expect("result", -1, pause());
	expect("errno", EINTR, errno);
	expect("ended by the trigger", 1, scenario_triggered);
	pass();
}
