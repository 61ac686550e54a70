// SPDX-License-Identifier: GPL-2.0-only
// Memfds keep content, holes, size, name, mode, positions and flags; descriptors opened anew lead to the same memory.
#include "scenario.h"

static int reopen(int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return must(open(path, flags));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char data[3 * PAGE], got[3 * PAGE];
	int fd = must(memfd_create("a memfd \x01 of odd bytes", MFD_CLOEXEC)), empty = must(memfd_create("", 0));
	fill(data, sizeof(data), 5);
	must_be(pwrite(fd, data, sizeof(data), 64 * PAGE + 100) == sizeof(data));
	must(lseek(fd, 12345, SEEK_SET));
	must(fchmod(fd, 0640));
	int read_only = reopen(fd, O_RDONLY), write_only = reopen(fd, O_WRONLY | O_APPEND), twin = must(dup(fd));
	must(lseek(read_only, 64 * PAGE + 100, SEEK_SET));
	ready();
	wait_for_trigger();
	struct stat st, other;
	must(fstat(fd, &st));
	expect("size", 67 * PAGE + 100, st.st_size);
	expect("mode", S_IFREG | 0640, st.st_mode);
	expect("position", 12345, lseek(twin, 0, SEEK_CUR));
	must_be(read(read_only, got, sizeof(got)) == sizeof(got));
	expect_bytes("content", data, got, sizeof(data));
	expect("end of file", 0, read(read_only, got, 1));
	expect("first data", 64 * PAGE, lseek(read_only, 0, SEEK_DATA));
	expect("write to what is for reading", -1, write(read_only, "x", 1));
	must_be(write(write_only, "end", 3) == 3);
	must_be(pread(fd, got, 4, 67 * PAGE + 100) == 3);
	expect_bytes("what was appended", "end", got, 3);
	must(fstat(write_only, &other));
	expect("inode", st.st_ino, other.st_ino);
	must_be(write(fd, "y", 1) == 1);
	expect("position after a write", 12346, lseek(twin, 0, SEEK_CUR));
	must(fstat(empty, &other));
	expect("size of the empty one", 0, other.st_size);
	must_be(write(empty, "z", 1) == 1);
	expect("seals", F_SEAL_SEAL, fcntl(fd, F_GET_SEALS));
	pass();
}
