// SPDX-License-Identifier: GPL-2.0-only
// A deleted open file: content, size, mode, owner, times; a second descriptor of it is the same file.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("ghost", O_RDWR | O_CREAT | O_EXCL, 0600)), second = must(open("ghost", O_RDONLY));
	static char data[100000], got[100000];
	fill(data, sizeof(data), 21);
	must(unlink("ghost"));
	must_be(write(fd, data, sizeof(data)) == sizeof(data));
	must(fchown(fd, 123, 456));
	must(fchmod(fd, 06604));
	struct timespec times[2] = { { 1000, 0 }, { 123456, 789000000 } };
	must(futimens(fd, times));
	must(lseek(fd, 777, SEEK_SET));
	ready();
	wait_for_trigger();
	struct stat st, st2;
	must(fstat(fd, &st));
	must(fstat(second, &st2));
	expect("same file", st.st_ino, st2.st_ino);
	expect("size", sizeof(data), st.st_size);
	expect("mode", S_IFREG | 06604, st.st_mode);
	expect("owner", 123, st.st_uid);
	expect("group", 456, st.st_gid);
	expect("mtime", 123456, st.st_mtim.tv_sec);
	expect("links", 0, st.st_nlink);
	expect("position", 777, lseek(fd, 0, SEEK_CUR));
	expect("second position", 0, lseek(second, 0, SEEK_CUR));
	must_be(read(second, got, sizeof(got)) == sizeof(got));
	expect_bytes("content", data, got, sizeof(got));
	expect("name exists", -1, access("ghost", F_OK));
	pass();
}
