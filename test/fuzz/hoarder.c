// SPDX-License-Identifier: GPL-2.0-only
// A program that has something of every kind that images can hold, so that damaged images have much to go wrong with.
// `hoarder DIR` keeps its files in DIR, makes DIR/ready when all is in place, and sleeps.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

static void check(int fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	_exit(1);
}

#define must(call) check((long)(call) != -1, #call)

static void on_signal(int sig)
{
	(void)sig;
}

static char *map(size_t pages, int prot, int flags, int fd)
{
	char *at = mmap(NULL, pages * PAGE, prot, flags, fd, 0);
	check(at != MAP_FAILED, "mmap");
	return at;
}

static void keep_files(void)
{
	must(dup(open("plain", O_RDWR | O_CREAT | O_APPEND, 0644)));
	must(write(3, "content", 7));
	must(lseek(3, 3, SEEK_SET));
	must(fcntl(4, F_SETFD, FD_CLOEXEC));
	int gone = open("gone", O_RDWR | O_CREAT, 0600);
	must(gone);
	must(pwrite(gone, "deleted", 7, 0));
	must(pwrite(gone, "behind a hole", 13, 64 * PAGE));
	must(unlink("gone"));
	must(open(".", O_RDONLY | O_DIRECTORY));
	must(open("plain", O_PATH));
	must(open("/dev/urandom", O_RDONLY));
	int ends[2];
	must(pipe2(ends, O_NONBLOCK));
	must(write(ends[1], "in the pipe", 11));
	must(fcntl(ends[0], F_SETOWN, getpid()));
	must(fcntl(ends[0], F_SETSIG, SIGUSR2));
	must(mkfifo("fifo", 0600)); // nobody writes to it: opening it would wait for ever
	must(mkdir("lost", 0700));
	must(open("lost", O_RDONLY | O_DIRECTORY));
	must(mkdir("lost/inner", 0700));
	must(open("lost/inner", O_PATH));
	int inner = open("lost/inner/file", O_RDWR | O_CREAT, 0600);
	must(inner);
	must(write(inner, "below", 5));
	must(unlink("lost/inner/file"));
	must(rmdir("lost/inner"));
	must(rmdir("lost"));
}

static void keep_watches(void)
{
	int fd = inotify_init1(IN_NONBLOCK);
	must(fd);
	must(inotify_add_watch(fd, "plain", IN_MODIFY | IN_ONESHOT));
	must(inotify_add_watch(fd, ".", IN_CREATE));
	int group = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
	if (group >= 0)
		must(fanotify_mark(group, FAN_MARK_ADD, FAN_CLOSE_WRITE, AT_FDCWD, "plain"));
	must(flock(3, LOCK_SH));
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3 };
	must(fcntl(3, F_SETLK, &lock));
}

static void keep_memory(void)
{
	int fd = open("plain", O_RDWR);
	must(ftruncate(fd, 3 * PAGE));
	map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd)[PAGE] = 1;
	map(2, PROT_READ | PROT_WRITE, MAP_SHARED, fd)[PAGE] = 2;
	must(close(fd));
	map(3, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1)[PAGE] = 3;
	int memfd = memfd_create("hoard", 0);
	must(ftruncate(memfd, 2 * PAGE));
	memset(map(2, PROT_READ | PROT_WRITE, MAP_SHARED, memfd), 4, PAGE);
	must(close(memfd));
	map(2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1)[PAGE] = 5;
	char *advised = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(advised, 6, 2 * PAGE);
	must(madvise(advised, PAGE, MADV_DONTDUMP));
	must(mlock(advised + PAGE, PAGE));
	must(mprotect(advised, PAGE, PROT_READ));
}

static void keep_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK };
	must(sigaction(SIGUSR1, &action, NULL));
	must(sigaction(SIGHUP, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL));
	stack_t stack = { .ss_sp = map(8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1), .ss_size = 8 * PAGE };
	must(sigaltstack(&stack, NULL));
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGRTMIN + 3);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL));
	for (int i = 0; i < 3; i++)
		must(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = i }));
	must(raise(SIGUSR1));
}

static void keep_timers(void)
{
	struct itimerval interval = { .it_interval = { 900, 0 }, .it_value = { 800, 5 } };
	must(setitimer(ITIMER_REAL, &interval, NULL));
	struct sigevent events[] = {
		{ .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 4 },
		{ .sigev_notify = SIGEV_NONE },
	};
	for (int i = 0; i < 4; i++) {
		timer_t timer;
		must(timer_create(CLOCK_MONOTONIC, &events[i % 2], &timer));
		struct itimerspec spec = { .it_interval = { i, 0 }, .it_value = { 5000, i } };
		must(timer_settime(timer, 0, &spec, NULL));
		if (i == 1)
			must(timer_delete(timer));
	}
}

static void keep_the_rest(void)
{
	must(prctl(PR_SET_NAME, "hoarder"));
	must(prctl(PR_SET_PDEATHSIG, SIGWINCH));
	must(prctl(PR_SET_TIMERSLACK, 77777));
	must(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 4096 }));
	must(setrlimit(RLIMIT_NPROC, &(struct rlimit){ 3000, 4000 }));
	must(setgroups(3, (gid_t[]){ 7, 8, 9 }));
	must(setpriority(PRIO_PROCESS, 0, 5));
	must(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 }));
	must(syscall(SYS_membarrier, 16, 0, 0));
	umask(027);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 1;
	must(chdir(argv[1]));
	keep_files();
	keep_watches();
	keep_memory();
	keep_signals();
	keep_timers();
	keep_the_rest();
	must(creat("ready", 0600));
	for (;;)
		pause();
}
