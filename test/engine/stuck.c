// SPDX-License-Identifier: GPL-2.0-only
// Serves a file to a child, leader of a session of its own, whose pid it prints; then nobody is answered until standard input ends.
// The child looks at the file once more, and its end is ours.
#include "../scenarios/fuse.h"
#include <poll.h>
#include <sys/wait.h>

int main(void)
{
	int begun[2], go_on[2];
	char byte;
	struct stat status;
	scenario_out = 1;
	const char *lack = mount_served("served");
	if (lack != NULL)
		skip("%s", lack);
	must(pipe(begun));
	must(pipe(go_on));
	pid_t child = must(fork());
	if (child == 0) {
		must(setsid());
		must(close(device));
		must(close(begun[0]));
		must(close(go_on[1]));
		int null = must(open("/dev/null", O_RDWR));
		for (int fd = 0; fd < 3; fd++)
			must(dup2(null, fd));
		int file = must(open("served/file", O_RDONLY));
		must(fstat(file, &status));
		must(close(begun[1]));
		must_be(read(go_on[0], &byte, 1) == 0);
		_exit(fstat(file, &status) == 0 && status.st_ino == 2 ? 0 : 1);
	}
	must(close(begun[1]));
	must(close(go_on[0]));
	struct pollfd first[2] = { { .fd = device, .events = POLLIN }, { .fd = begun[0], .events = POLLIN } };
	while (poll(first, 2, -1) > 0 && first[1].revents == 0)
		serve_one();
	printf("%d\n", child);
	must_be(fflush(stdout) == 0);
	must_be(read(0, &byte, 1) == 0);
	must(close(go_on[1]));
	int end = -1;
	struct pollfd later = { .fd = device, .events = POLLIN };
	while (must(waitpid(child, &end, WNOHANG)) == 0)
		if (poll(&later, 1, 10) > 0)
			serve_one();
	must(umount2("served", MNT_DETACH));
	_exit(WIFEXITED(end) ? WEXITSTATUS(end) : 99);
}
