// SPDX-License-Identifier: GPL-2.0-only
// The stage of one scenario run: pid 1 of a pid namespace of its own, with its own /proc, /run, ptys and System V IPC, so that
// pids and keys are free and runs can be parallel. It starts targets and criu as told on stdin and reports what becomes of them on stdout.
// Commands, one a line, fields split by tabs:   start OUT CWD ARGV…   run TAG LOG CWD ARGV…   kill PID SIGNAL
// Reports: stage PID | started PID | ready | done TAG HOW N | died PID HOW N | killed ERRNO       (HOW: exit, signal)
// `stage --tty` makes itself the leader of a session on a pty and gives targets and criu that terminal.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FIELDS 64
#define MAX_JOBS 16

static int watch_fd = -1, out_watch = -1, out_fd = -1, tty_slave = -1, tty_master = -1;
static char tty_name[64];
static struct { pid_t pid; char tag[32]; } jobs[MAX_JOBS];
static char *const target_env[] = { "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C", "HOME=/tmp", NULL };

static void die(const char *what)
{
	fprintf(stderr, "stage: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void report(const char *form, ...)
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

// In a child: signals, limits and descriptors as a login shell would give them, stdio on IN and OUT.
static void prepare_child(const char *in, int out, const char *cwd)
{
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int fd = open(in, O_RDWR);
	if (fd < 0 || dup2(fd, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		die("cannot set up stdio");
	syscall(SYS_close_range, 3, UINT_MAX, 0);
	if (chdir(cwd) < 0)
		die(cwd);
}

static void start_target(char **field)
{
	if (watch_fd >= 0 && out_watch >= 0)
		inotify_rm_watch(watch_fd, out_watch);
	if (out_fd >= 0)
		close(out_fd);
	out_fd = open(field[1], O_RDONLY | O_CREAT | O_CLOEXEC, 0666);
	if (out_fd < 0)
		die(field[1]);
	out_watch = inotify_add_watch(watch_fd, field[1], IN_MODIFY);
	if (out_watch < 0)
		die("inotify_add_watch");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (tty_slave < 0)
			setsid();
		const char *stdio = tty_slave < 0 ? "/dev/null" : tty_name;
		int out = open(stdio, O_RDWR);
		prepare_child(stdio, out, field[2]);
		execve(field[3], field + 3, target_env);
		die(field[3]);
	}
	report("started %d", pid);
}

static void run_job(char **field)
{
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		int out = open(field[2], O_WRONLY | O_CREAT | O_APPEND, 0666);
		prepare_child(tty_slave < 0 ? "/dev/null" : tty_name, out, field[3]);
		execvp(field[4], field + 4);
		die(field[4]);
	}
	for (int i = 0; i < MAX_JOBS; i++) {
		if (jobs[i].pid == 0) {
			jobs[i].pid = pid;
			snprintf(jobs[i].tag, sizeof(jobs[i].tag), "%s", field[1]);
			return;
		}
	}
	errno = EAGAIN;
	die("too many jobs");
}

static void obey(char *line)
{
	char *field[MAX_FIELDS + 1];
	int n = 0;
	for (char *at = line; at && n < MAX_FIELDS;)
		field[n++] = strsep(&at, "\t");
	field[n] = NULL;
	if (!strcmp(field[0], "start") && n > 3)
		start_target(field);
	else if (!strcmp(field[0], "run") && n > 4)
		run_job(field);
	else if (!strcmp(field[0], "kill") && n == 3)
		report("killed %d", kill(atoi(field[1]), atoi(field[2])) < 0 ? errno : 0);
	else
		die("bad command");
}

static void reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		const char *how = WIFEXITED(status) ? "exit" : "signal";
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
		int i = 0;
		while (i < MAX_JOBS && jobs[i].pid != pid)
			i++;
		if (i < MAX_JOBS) {
			jobs[i].pid = 0;
			report("done %s %s %d", jobs[i].tag, how, code);
		} else {
			report("died %d %s %d", pid, how, code);
		}
	}
}

static void look_at_output(void)
{
	char events[4096], tail[6];
	while (read(watch_fd, events, sizeof(events)) > 0)
		;
	struct stat st;
	if (fstat(out_fd, &st) == 0 && st.st_size >= 6 && pread(out_fd, tail, 6, st.st_size - 6) == 6 && !memcmp(tail, "READY\n", 6))
		report("ready");
}

static void open_terminal(void)
{
	tty_master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	int number, unlock = 0;
	if (tty_master < 0 || ioctl(tty_master, TIOCSPTLCK, &unlock) < 0 || ioctl(tty_master, TIOCGPTN, &number) < 0)
		die("/dev/ptmx");
	snprintf(tty_name, sizeof(tty_name), "/dev/pts/%d", number);
	tty_slave = open(tty_name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty_slave < 0 || setsid() < 0 || ioctl(tty_slave, TIOCSCTTY, 0) < 0)
		die(tty_name);
}

static void serve(void)
{
	static char buffer[65536];
	size_t have = 0;
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL);
	int child_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd on[4] = { { 0, POLLIN, 0 }, { child_fd, POLLIN, 0 }, { watch_fd, POLLIN, 0 }, { tty_master, POLLIN, 0 } };
	for (;;) {
		if (poll(on, 4, -1) < 0 && errno != EINTR)
			die("poll");
		if (on[2].revents)
			look_at_output();
		if (on[1].revents) {
			char drop[512];
			while (read(child_fd, drop, sizeof(drop)) > 0)
				;
			look_at_output();
			reap();
		}
		if (on[3].revents) {
			char drop[512];
			if (read(tty_master, drop, sizeof(drop)) < 0 && errno != EAGAIN)
				on[3].fd = -1;
		}
		if (!on[0].revents)
			continue;
		ssize_t n = read(0, buffer + have, sizeof(buffer) - have);
		if (n <= 0)
			_exit(0); // the harness is gone: the kernel ends all of this namespace with its pid 1
		have += n;
		char *end;
		while ((end = memchr(buffer, '\n', have))) {
			*end++ = 0;
			obey(buffer);
			have -= end - buffer;
			memmove(buffer, end, have);
		}
	}
}

int main(int argc, char **argv)
{
	if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC) < 0)
		die("unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("mount private");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0) {
		int status;
		report("stage %d", pid);
		close(0);
		close(1);
		if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
			return 125;
		return WEXITSTATUS(status);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		die("mount /proc");
	if (mount("run", "/run", "tmpfs", 0, "size=16m,mode=755") < 0)
		die("mount /run");
	// Ptys of its own: numbers that a restore needs are free.
	if (access("/dev/pts", F_OK) == 0 && mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620") < 0)
		die("mount /dev/pts");
	if (argc > 2 && !strcmp(argv[1], "--kdat")) { // a warm kernel-feature cache for the peer, so that each run need not probe
		char copy[PATH_MAX + 32];
		snprintf(copy, sizeof(copy), "cp -f '%s' /run/criu.kdat", argv[2]);
		if (access(argv[2], R_OK) == 0 && system(copy) != 0)
			die("cannot copy criu.kdat");
	}
	if (argc > 1 && !strcmp(argv[argc - 1], "--tty"))
		open_terminal();
	setpriority(PRIO_PROCESS, 0, 0);
	serve();
}
