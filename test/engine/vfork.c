// SPDX-License-Identifier: GPL-2.0-only
// Is inside of vfork for a while, until its child becomes another program. Tells the child's number first.
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void)
{
	pid_t child = vfork();
	if (child == 0) {
		dprintf(1, "%d\n", getpid());
		setsid();
		dup2(0, 1);
		nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
		execlp("sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	return 0;
}
