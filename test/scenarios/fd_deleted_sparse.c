// SPDX-License-Identifier: GPL-2.0-only
// @stream
// A deleted sparse file of far more than the ghost limit in size, but little data: its holes stay holes.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("ghost", O_RDWR | O_CREAT | O_EXCL, 0600));
	char block[PAGE], got[PAGE];
	fill(block, PAGE, 1);
	must_be(pwrite(fd, block, PAGE, PAGE) == (long)PAGE);
	must_be(pwrite(fd, block, PAGE, 1L << 30) == (long)PAGE);
	must(ftruncate(fd, (1L << 30) + 10 * PAGE));
	must(fsync(fd));
	must(unlink("ghost"));
	struct stat before, after;
	must(fstat(fd, &before));
	ready();
	wait_for_trigger();
	must(fstat(fd, &after));
	expect("size", before.st_size, after.st_size);
	expect("blocks", before.st_blocks, after.st_blocks);
	must_be(pread(fd, got, PAGE, PAGE) == (long)PAGE);
	expect_bytes("first block", block, got, PAGE);
	must_be(pread(fd, got, PAGE, 1L << 30) == (long)PAGE);
	expect_bytes("second block", block, got, PAGE);
	expect("first data", PAGE, lseek(fd, 0, SEEK_DATA));
	expect("hole after it", 2 * PAGE, lseek(fd, PAGE, SEEK_HOLE));
	expect("next data", 1L << 30, lseek(fd, 2 * PAGE, SEEK_DATA));
	expect("last hole", (1L << 30) + PAGE, lseek(fd, 1L << 30, SEEK_HOLE));
	pass();
}
