// SPDX-License-Identifier: GPL-2.0-only
// files COUNT: that many open regular files in the working directory, each with content and a position of its own.
#include "descriptors.h"

static size_t count;
static int *fds;

static int check(void)
{
	return check_files(fds, count);
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	allow_descriptors(count);
	fds = open_files(count);
	tell_ready();
	wait_and_check(check);
}
