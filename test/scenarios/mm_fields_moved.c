// SPDX-License-Identifier: GPL-2.0-only
// Argument, environment, auxv and code boundaries moved by PR_SET_MM_MAP are kept (compared through stat, cmdline, auxv).
#include "scenario.h"
#include <linux/prctl.h>
#include <sys/auxv.h>

int prctl(int option, ...);

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *page = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memcpy(page, "moved\0arguments", 16);
	memcpy(page + PAGE, "MOVED=1\0ENV=2", 14);
	char line[1024], *close_paren;
	int fd = must(open("/proc/self/stat", O_RDONLY));
	line[must(read(fd, line, sizeof(line) - 1))] = 0;
	close(fd);
	unsigned long v[60] = { 0 };
	close_paren = strrchr(line, ')') + 4;
	for (int i = 4; i <= 51; i++)
		v[i] = strtoul(close_paren, &close_paren, 10);
	static unsigned long auxv[40];
	fd = must(open("/proc/self/auxv", O_RDONLY));
	ssize_t bytes = must(read(fd, auxv, sizeof(auxv)));
	close(fd);
	auxv[bytes / 8 - 2] = 0;
	struct prctl_mm_map map = {
		.start_code = v[26], .end_code = v[27], .start_stack = v[28], .start_data = v[45], .end_data = v[46],
		.start_brk = v[47], .brk = (unsigned long)sbrk(0), .arg_start = (unsigned long)page, .arg_end = (unsigned long)page + 16,
		.env_start = (unsigned long)page + PAGE, .env_end = (unsigned long)page + PAGE + 14,
		.auxv = (__u64 *)auxv, .auxv_size = bytes, .exe_fd = -1,
	};
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0)
		skip("PR_SET_MM_MAP: %s", strerror(errno));
	ready();
	wait_for_trigger();
	char got[64];
	fd = must(open("/proc/self/cmdline", O_RDONLY));
	expect("length of cmdline", 16, must(read(fd, got, sizeof(got))));
	expect_bytes("cmdline", "moved\0arguments", got, 16);
	close(fd);
	fd = must(open("/proc/self/environ", O_RDONLY));
	expect("length of environ", 14, must(read(fd, got, sizeof(got))));
	expect_bytes("environ", "MOVED=1\0ENV=2", got, 14);
	pass();
}
