// SPDX-License-Identifier: GPL-2.0-only
// The stage of a benchmark: pid 1 of a pid namespace of its own, with its own /proc, /run and a tmpfs for images, all of
// which vanish with it. It does one command at a time, told on stdin, and answers with one line on stdout, so nothing
// but the command that is timed runs. Fields are split by tabs.
//   start CWD ARGV…   -> ready PID | ended WAITSTATUS    a target; ready when it has written to descriptor 3 and closed it
//   run LOG ARGV…     -> ran WAITSTATUS WALL_NS MAXRSS_KIB USER_US SYSTEM_US
//   reap PID          -> ended WAITSTATUS                waits for its end, so that its pid is free again
//   verify PID        -> ended WAITSTATUS                SIGUSR1 first: the target looks at itself and exits with 0
//   empty DIR         -> emptied                         removes all that is in DIR, or makes it
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_FIELDS 64
#define READY_FD 3

static char *plain_env[] = { "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C", "HOME=/tmp", NULL, NULL };
enum { LAST_VARIABLE = 3 };

static void die(const char *what)
{
	fprintf(stderr, "stage: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void reply(const char *form, ...)
{
	char line[256];
	va_list list;
	va_start(list, form);
	int n = vsnprintf(line, sizeof(line) - 1, form, list);
	va_end(list);
	line[n++] = '\n';
	if (write(1, line, n) != n)
		_exit(125);
}

static int wait_for(pid_t pid, struct rusage *usage)
{
	int status;
	while (wait4(pid, &status, 0, usage) < 0) {
		if (errno != EINTR)
			die("wait4");
	}
	return status;
}

static void set_stdio(const char *out_path)
{
	int in = open("/dev/null", O_RDWR);
	int out = open(out_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		die(out_path);
}

static void start_target(char **field)
{
	int ready[2];
	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe2");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		setsid();
		set_stdio("/dev/null");
		if (dup3(ready[1], READY_FD, 0) < 0 && ready[1] != READY_FD)
			die("dup3");
		fcntl(READY_FD, F_SETFD, 0);
		syscall(SYS_close_range, READY_FD + 1, UINT_MAX, 0);
		if (chdir(field[1]) < 0)
			die(field[1]);
		execve(field[2], field + 2, plain_env);
		die(field[2]);
	}
	close(ready[1]);
	char mark[16];
	ssize_t got = read(ready[0], mark, sizeof(mark)), end = got > 0 ? read(ready[0], mark, sizeof(mark)) : 0;
	close(ready[0]);
	if (got > 0 && end == 0)
		reply("ready %d", pid);
	else
		reply("ended %d", wait_for(pid, NULL));
}

static long long nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void run_timed(char **field)
{
	struct rusage usage;
	long long before = nanoseconds();
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		set_stdio(field[1]);
		syscall(SYS_close_range, READY_FD, UINT_MAX, 0);
		execve(field[2], field + 2, plain_env);
		die(field[2]);
	}
	int status = wait_for(pid, &usage);
	long long took = nanoseconds() - before;
	reply("ran %d %lld %ld %lld %lld", status, took, usage.ru_maxrss,
	      usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec,
	      usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec);
}

static const char *emptied;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return strcmp(path, emptied) ? remove(path) : 0;
}

static void empty(const char *dir)
{
	emptied = dir;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		die(dir);
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		die(dir);
	reply("emptied");
}

static void verify(pid_t pid)
{
	if (kill(pid, SIGUSR1) < 0)
		reply("gone %d", errno);
	else
		reply("ended %d", wait_for(pid, NULL));
}

static void obey(char *line)
{
	char *field[MAX_FIELDS + 1];
	int n = 0;
	for (char *at = line; at && n < MAX_FIELDS;)
		field[n++] = strsep(&at, "\t");
	field[n] = NULL;
	if (!strcmp(field[0], "start") && n > 2)
		start_target(field);
	else if (!strcmp(field[0], "run") && n > 2)
		run_timed(field);
	else if (!strcmp(field[0], "reap") && n == 2) {
		int status = wait_for(atoi(field[1]), NULL);
		// Children of it may take longer, and their group's number is taken until then.
		while (kill(-atoi(field[1]), 0) == 0 && waitpid(-1, NULL, 0) > 0)
			;
		reply("ended %d", status);
	}
	else if (!strcmp(field[0], "verify") && n == 2)
		verify(atoi(field[1]));
	else if (!strcmp(field[0], "empty") && n == 2)
		empty(field[1]);
	else
		die("bad command");
}

// Ends with the harness: the kernel ends all of this namespace with its pid 1.
static void serve(void)
{
	static char line[65536];
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		obey(line);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: stage TMPFS\n");
		return 125;
	}
	// Where hardware breakpoints don't work, the original has to be told; see test/peer.ts.
	for (char **variable = environ; *variable; variable++)
		if (strncmp(*variable, "CRIU_FAULT=", 11) == 0)
			plain_env[LAST_VARIABLE] = *variable;
	if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
		die("unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("mount private");
	int told[2]; // the inner one speaks only after the outer one
	if (pipe2(told, O_CLOEXEC) < 0)
		die("pipe2");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0) {
		reply("stage %d", pid);
		close(told[0]);
		close(told[1]);
		close(0);
		close(1);
		int status = wait_for(pid, NULL);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	char end;
	close(told[1]);
	if (read(told[0], &end, 1) != 0)
		die("read");
	close(told[0]);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		die("mount /proc");
	if (mount("run", "/run", "tmpfs", 0, "size=16m,mode=755") < 0)
		die("mount /run");
	if (mount("bench", argv[1], "tmpfs", 0, "size=3g,mode=700") < 0)
		die(argv[1]);
	reply("staged");
	serve();
}
