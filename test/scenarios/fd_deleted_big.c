// SPDX-License-Identifier: GPL-2.0-only
// A deleted file larger than the default ghost limit (1 MiB), with the limit raised.
// @dump-options --ghost-limit 16M
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("ghost", O_RDWR | O_CREAT | O_EXCL, 0600));
	size_t size = (3 << 20) + 17;
	char *data = malloc(size), *got = malloc(size);
	fill(data, size, 44);
	must_be(write(fd, data, size) == (long)size);
	must(unlink("ghost"));
	ready();
	wait_for_trigger();
	must_be(pread(fd, got, size, 0) == (long)size);
	expect_bytes("content", data, got, size);
	pass();
}
