// SPDX-License-Identifier: GPL-2.0-only
// SELinux: the context that the program changed into, and the one that it has chosen for new sockets.
#include "scenario.h"

static const char context[] = "unconfined_u:unconfined_r:unconfined_dbusd_t:s0";

static void read_attribute(const char *name, char *text, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/attr/%s", name);
	memset(text, 0, size);
	int fd = must(open(path, O_RDONLY));
	must(read(fd, text, size - 1));
	close(fd);
}

static void write_attribute(const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/attr/%s", name);
	int fd = must(open(path, O_WRONLY));
	if (write(fd, context, sizeof(context)) < 0)
		skip("cannot set %s to %s: %s", name, context, strerror(errno));
	must(close(fd));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (access("/sys/fs/selinux/enforce", F_OK) < 0)
		skip("no SELinux on this machine");
	write_attribute("current");
	write_attribute("sockcreate");
	ready();
	wait_for_trigger();
	char now[256];
	read_attribute("current", now, sizeof(now));
	expect_text("context", context, now);
	read_attribute("sockcreate", now, sizeof(now));
	expect_text("context of new sockets", context, now);
	pass();
}
