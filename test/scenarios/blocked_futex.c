// SPDX-License-Identifier: GPL-2.0-only
// A futex wait without time limit goes on until the trigger; the word is as it was.
#include "scenario.h"
#include <linux/futex.h>
static unsigned word = 5;

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	ready();
	while (!scenario_triggered) {
		expect("result", -1, syscall(SYS_futex, &word, FUTEX_WAIT, 5, NULL, NULL, 0));
		expect("errno", EINTR, errno);
	}
	expect("word", 5, word);
	pass();
}
