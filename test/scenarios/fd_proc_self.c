// SPDX-License-Identifier: GPL-2.0-only
// Open files of /proc: of the whole system and of the process itself.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int uptime = must(open("/proc/uptime", O_RDONLY)), status = must(open("/proc/self/status", O_RDONLY));
	int exe = must(open("/proc/self/exe", O_RDONLY));
	ready();
	wait_for_trigger();
	char text[4096] = { 0 };
	must_be(read(uptime, text, sizeof(text) - 1) > 0);
	memset(text, 0, sizeof(text));
	must_be(read(status, text, sizeof(text) - 1) > 0);
	must_be(strstr(text, "fd_proc_self") != NULL);
	expect("position in exe", 0, lseek(exe, 0, SEEK_CUR));
	pass();
}
