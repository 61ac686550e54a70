// SPDX-License-Identifier: GPL-2.0-only
// Two children whose first threads have ended, one of them stopped, under another user: the parent is told of their end when
// their last threads end, with the exit code of these.
// @cflags -pthread
// @skip-peer CRIU 4.1.1 refuses a process whose main thread has ended
#include "tree.h"
#include <pthread.h>

enum { OWNER = 1234, GROUP = 4321 };

static void *last_thread(void *arg)
{
	int *end = arg;
	char byte;
	while (state_letter(getpid()) != 'Z')
		usleep(500);
	arrive();
	must_be(read(*end, &byte, 1) == 1);
	if (state_letter(getpid()) != 'Z' || getuid() != OWNER)
		_exit(1);
	syscall(SYS_exit, 2);
	return NULL;
}

static void run(void *arg)
{
	must(setresgid(GROUP, GROUP, GROUP));
	must(setresuid(OWNER, OWNER, OWNER));
	must(prctl(PR_SET_DUMPABLE, 1));
	pthread_t thread;
	must_be(pthread_create(&thread, NULL, last_thread, arg) == 0);
	syscall(SYS_exit, 37);
}

static void expect_status(pid_t pid, const char *field, const char *wanted)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	must_be(file != NULL);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			expect_text(field, wanted, line + strlen(field));
	fclose(file);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int ends[2][2];
	pid_t children[2];
	siginfo_t info;
	for (int i = 0; i < 2; i++) {
		must(pipe(ends[i]));
		children[i] = start_child(run, &ends[i][0]);
		must(setpriority(PRIO_PROCESS, 0, 0));
	}
	must(kill(children[1], SIGSTOP));
	must(waitid(P_PID, children[1], &info, WSTOPPED | WNOWAIT));
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++) {
		info.si_pid = 0;
		must(waitid(P_PID, children[i], &info, WEXITED | WNOHANG | WNOWAIT));
		expect("child that has ended", 0, info.si_pid);
		expect_status(children[i], "Uid:\t", "1234\t1234\t1234\t1234\n");
		expect_status(children[i], "Gid:\t", "4321\t4321\t4321\t4321\n");
	}
	must(kill(children[1], SIGCONT));
	for (int i = 0; i < 2; i++) {
		must_be(write(ends[i][1], "x", 1) == 1);
		expect_exit(children[i], 2);
	}
	expect_no_child();
	pass();
}
