// SPDX-License-Identifier: GPL-2.0-only
// SIGINT, SIGQUIT and SIGPIPE ignored: still ignored when sent.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int ignored[] = { SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTSTP, SIGRTMIN + 3 };
	for (int i = 0; i < 6; i++)
		signal(ignored[i], SIG_IGN);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 6; i++)
		must(kill(getpid(), ignored[i]));
	pass();
}
