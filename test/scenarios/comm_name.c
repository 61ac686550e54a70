// SPDX-License-Identifier: GPL-2.0-only
// A name set by PR_SET_NAME, with odd bytes in it, is kept.
// @skip-decode crit cannot show text that is no UTF-8
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const char name[16] = { 'a', ')', ' ', 'S', ' ', '1', '\t', '"', '\\', (char)0xff, (char)0xc3, 'z', 'z', 'z', 'z', 0 };
	must(prctl(PR_SET_NAME, name));
	ready();
	wait_for_trigger();
	char got[16];
	must(prctl(PR_GET_NAME, got));
	expect_bytes("name", name, got, 16);
	pass();
}
