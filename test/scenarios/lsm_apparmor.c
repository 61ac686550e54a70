// SPDX-License-Identifier: GPL-2.0-only
// The AppArmor profile that the program changed into (criu_test, loaded by whoever prepares the machine).
#include "scenario.h"

static const char *const path = "/proc/self/attr/current";

static void read_label(char *text, size_t size)
{
	memset(text, 0, size);
	int fd = must(open(path, O_RDONLY));
	must(read(fd, text, size - 1));
	close(fd);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (access("/sys/kernel/security/apparmor/profiles", R_OK) < 0)
		skip("no AppArmor on this machine");
	int fd = must(open(path, O_WRONLY));
	static const char command[] = "changeprofile criu_test";
	if (write(fd, command, sizeof(command) - 1) < 0)
		skip("cannot change into profile criu_test: %s", strerror(errno));
	must(close(fd));
	char before[256], after[256];
	read_label(before, sizeof(before));
	must_be(!strncmp(before, "criu_test", 9));
	ready();
	wait_for_trigger();
	read_label(after, sizeof(after));
	expect_text("profile", before, after);
	pass();
}
