// SPDX-License-Identifier: GPL-2.0-only
// The login uid of the audit system, set to 3.
#include "scenario.h"

static long read_uid(void)
{
	char text[32] = "";
	int fd = open("/proc/self/loginuid", O_RDONLY);
	if (fd < 0)
		skip("no /proc/self/loginuid");
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	return strtoul(text, NULL, 10);
}

static void write_uid(const char *text)
{
	int fd = open("/proc/self/loginuid", O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		skip("setting loginuid: %s", strerror(errno));
	close(fd);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (read_uid() != 4294967295L)
		write_uid("4294967295");
	write_uid("3");
	expect("login uid", 3, read_uid());
	ready();
	wait_for_trigger();
	expect("login uid", 3, read_uid());
	pass();
}
