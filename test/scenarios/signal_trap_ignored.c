// SPDX-License-Identifier: GPL-2.0-only
// SIGTRAP ignored stays ignored: no step of the dump may force that signal, which would reset it.
// @skip-peer the peer's breakpoint resets an ignored SIGTRAP to its default, even in the running target
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	signal(SIGTRAP, SIG_IGN);
	ready();
	wait_for_trigger();
	must(kill(getpid(), SIGTRAP));
	pass();
}
