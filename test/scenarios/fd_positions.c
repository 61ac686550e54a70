// SPDX-License-Identifier: GPL-2.0-only
// Regular files keep position, flags and content: read-only, write-only, append, beyond the end, with O_SYNC, O_NOATIME and more.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static const struct { int flags; off_t pos; } files[] = {
		{ O_RDONLY, 7 }, { O_WRONLY, 11 }, { O_RDWR, 0 }, { O_RDWR | O_APPEND, 3 }, { O_RDWR | O_SYNC, 5 },
		{ O_RDWR | O_DSYNC, 6 }, { O_RDONLY | O_NOATIME, 9 }, { O_RDWR | O_NONBLOCK, 1 }, { O_RDONLY | O_NOFOLLOW, 2 },
		{ O_RDWR, 5000000000 }, { O_RDWR | O_ASYNC, 4 }, { O_RDWR | O_CLOEXEC, 8 },
	};
	enum { N = sizeof(files) / sizeof(*files) };
	int fds[N], flags[N];
	for (int i = 0; i < N; i++) {
		char name[16];
		snprintf(name, sizeof(name), "file%d", i);
		int fd = must(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644));
		must_be(write(fd, "0123456789abcdef", 16) == 16);
		close(fd);
		fds[i] = must(open(name, files[i].flags));
		must(lseek(fds[i], files[i].pos, SEEK_SET));
		flags[i] = must(fcntl(fds[i], F_GETFL));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		char what[32], byte;
		snprintf(what, sizeof(what), "position of file %d", i);
		expect(what, files[i].pos, lseek(fds[i], 0, SEEK_CUR));
		snprintf(what, sizeof(what), "flags of file %d", i);
		expect(what, flags[i], fcntl(fds[i], F_GETFL));
		expect("FD_CLOEXEC", files[i].flags & O_CLOEXEC ? FD_CLOEXEC : 0, fcntl(fds[i], F_GETFD));
		if (files[i].pos < 16 && (files[i].flags & O_ACCMODE) != O_WRONLY) {
			must_be(read(fds[i], &byte, 1) == 1);
			expect("byte at the position", "0123456789abcdef"[files[i].pos], byte);
		}
	}
	must_be(write(fds[3], "!", 1) == 1);
	struct stat st;
	must(fstat(fds[3], &st));
	expect("size after an append", 17, st.st_size);
	pass();
}
