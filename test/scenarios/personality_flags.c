// SPDX-License-Identifier: GPL-2.0-only
// The execution domain's flags: no address randomisation, compatibility layout, short inodes.
// @skip-peer the original never restores the execution domain
#include "scenario.h"
#include <sys/personality.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	unsigned long want = ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | STICKY_TIMEOUTS | UNAME26;
	must(personality(want));
	ready();
	wait_for_trigger();
	expect("personality", want, personality(0xffffffff));
	pass();
}
