// SPDX-License-Identifier: GPL-2.0-only
// The program of files_random*.c: processes that open files of all sorts, hand them on by fork and dup, and change what they
// are, at random by a fixed seed. What the kernel tells of every descriptor is the same after as before, and so is which are one.
#include "scenario.h"
#include "random.h"
#include <dirent.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { PROCESSES = 4, STEPS = 60, MOST_FDS = 48, LINES = 6000, LINE = 200 };

// Descriptors that the steps have made, of the process that runs.
static int fds[MOST_FDS], nr_fds, names;
static char last_name[32];

static int random_fd(void)
{
	return fds[roll(nr_fds)];
}

static void keep(int fd)
{
	if (nr_fds < MOST_FDS)
		fds[nr_fds++] = fd;
	else
		close(fd);
}

static void make_file(void)
{
	static const int modes[] = { O_RDWR, O_WRONLY, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK, O_RDWR | O_SYNC, O_RDWR | O_NOATIME };
	char data[600];
	snprintf(last_name, sizeof(last_name), "file-%d-%d", getpid(), names++);
	int fd = must(open(last_name, O_CREAT | modes[roll(6)] | (roll(2) ? O_CLOEXEC : 0), 0600 | roll(0100)));
	fill(data, sizeof(data), names);
	must(write(fd, data, roll(sizeof(data))));
	keep(fd);
}

static void make_pipe(void)
{
	int ends[2];
	char data[3000];
	must(pipe2(ends, (roll(4) ? 0 : O_DIRECT) | O_NONBLOCK | (roll(2) ? O_CLOEXEC : 0)));
	if (roll(2))
		must(fcntl(ends[1], F_SETPIPE_SZ, 4096 << roll(5)));
	for (int i = roll(3); i > 0; i--) {
		fill(data, sizeof(data), ++names);
		if (write(ends[1], data, 1 + roll(sizeof(data))) < 0)
			must_be(errno == EAGAIN);
	}
	unsigned closed = roll(6);
	if (closed < 2)
		close(ends[closed]);
	if (closed != 0)
		keep(ends[0]);
	if (closed != 1)
		keep(ends[1]);
}

static void make_event(void)
{
	keep(must(eventfd(roll(1000), (roll(2) ? EFD_SEMAPHORE : 0) | (roll(2) ? EFD_NONBLOCK : 0) | (roll(2) ? EFD_CLOEXEC : 0))));
}

static void make_timer(void)
{
	static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };
	int fd = must(timerfd_create(clocks[roll(3)], roll(2) ? TFD_NONBLOCK : 0));
	struct itimerspec when = { .it_value.tv_sec = roll(2) ? 100000 + roll(1000) : 0, .it_interval.tv_sec = roll(50) };
	must(timerfd_settime(fd, 0, &when, NULL));
	keep(fd);
}

static void make_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	for (int i = 1 + roll(5); i > 0; i--)
		sigaddset(&set, 35 + roll(20));
	keep(must(signalfd(-1, &set, (roll(2) ? SFD_NONBLOCK : 0) | (roll(2) ? SFD_CLOEXEC : 0))));
}

static void make_memory(void)
{
	char data[9000];
	int fd = must(memfd_create("random", MFD_ALLOW_SEALING | (roll(2) ? MFD_CLOEXEC : 0)));
	fill(data, sizeof(data), ++names);
	must(pwrite(fd, data, 1 + roll(sizeof(data) - 1), roll(20000)));
	must(lseek(fd, roll(30000), SEEK_SET));
	if (roll(2))
		must(fcntl(fd, F_ADD_SEALS, (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) & (roll(8) << 1)));
	keep(fd);
}

static void make_epoll(void)
{
	keep(must(epoll_create1(roll(2) ? EPOLL_CLOEXEC : 0)));
}

// Into a set: whatever can be waited for; cycles are refused, and what is there already.
static void watch(void)
{
	struct epoll_event event = { .data.u64 = roll(1 << 30) };
	static const unsigned kinds[] = { EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT | EPOLLET, EPOLLIN | EPOLLONESHOT, EPOLLRDHUP | EPOLLPRI, 0 };
	event.events = kinds[roll(6)];
	int set = random_fd(), fd = random_fd();
	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
		must_be(errno == EBADF || errno == EPERM || errno == EINVAL || errno == EEXIST || errno == ELOOP);
}

static void make_inotify(void)
{
	int fd = must(inotify_init1((roll(2) ? IN_CLOEXEC : 0) | (roll(2) ? IN_NONBLOCK : 0)));
	for (int i = roll(3); i > 0; i--) {
		char name[32];
		snprintf(name, sizeof(name), "watched-%d-%d", getpid(), names++);
		close(must(open(name, O_CREAT | O_WRONLY, 0600)));
		must(inotify_add_watch(fd, name, IN_MODIFY << roll(4)));
	}
	keep(fd);
}

static void make_directory(void)
{
	char name[32];
	snprintf(name, sizeof(name), "dir-%d-%d", getpid(), names++);
	must(mkdir(name, 0700));
	keep(must(open(name, O_RDONLY | O_DIRECTORY | (roll(2) ? O_PATH : 0))));
	if (roll(3) == 0)
		must(rmdir(name));
}

static void copy(void)
{
	int from = random_fd();
	if (roll(2))
		keep(must(fcntl(from, roll(2) ? F_DUPFD : F_DUPFD_CLOEXEC, (int)roll(900))));
	else
		keep(must(dup(from)));
}

static void reopen(void)
{
	char path[40], target[40] = "";
	snprintf(path, sizeof(path), "/proc/self/fd/%d", random_fd());
	must(readlink(path, target, sizeof(target)));
	bool on_disk = target[0] == '/' && strncmp(target, "/memfd", 6); // handles of others can't be made again
	int fd = open(path, (on_disk && roll(2) ? O_PATH : O_RDONLY) | O_NONBLOCK);
	if (fd >= 0)
		keep(fd);
}

static void move(void)
{
	int fd = random_fd();
	char target[40], path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof(target));
	if (n > 0 && target[0] == '/')
		lseek(fd, roll(700), SEEK_SET);
}

static void set_flags(void)
{
	int fd = random_fd(), flags = fcntl(fd, F_GETFL);
	if (flags & O_PATH)
		return;
	fcntl(fd, F_SETFL, (flags ^ (roll(2) ? O_NONBLOCK : O_APPEND)));
	fcntl(fd, F_SETFD, roll(2));
}

static void set_owner(void)
{
	int fd = random_fd();
	if (fcntl(fd, F_GETFL) & O_PATH)
		return;
	must(fcntl(fd, F_SETOWN, getpid()));
	must(fcntl(fd, F_SETSIG, (int)roll(2) * (34 + (int)roll(10))));
}

static void lock(void)
{
	int fd = random_fd();
	char path[40], target[40] = "";
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(readlink(path, target, sizeof(target)));
	if (!strncmp(target, "anon_inode", 10)) // one file for the whole host
		return;
	if (roll(2)) {
		flock(fd, (roll(2) ? LOCK_SH : LOCK_EX) | LOCK_NB);
		return;
	}
	struct flock range = { .l_type = roll(2) ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET, .l_start = roll(500), .l_len = roll(3) * 50 };
	fcntl(fd, roll(2) ? F_SETLK : F_OFD_SETLK, &range);
}

static void change_names(void)
{
	char other[40];
	if (!last_name[0])
		return;
	snprintf(other, sizeof(other), "%s-too", last_name);
	switch (roll(4)) {
	case 0:
		rename(last_name, other);
		break;
	case 1:
		if (link(last_name, other) < 0)
			must_be(errno == EEXIST || errno == ENOENT);
		break;
	default:
		unlink(last_name);
	}
	last_name[0] = 0;
}

static void close_one(void)
{
	if (nr_fds < 4)
		return;
	unsigned at = roll(nr_fds);
	close(fds[at]);
	fds[at] = fds[--nr_fds];
}

static void step(void)
{
	static void (*const makers[])(void) = { make_file, make_file, make_pipe,    make_event,   make_timer,    make_signals,
						make_memory, make_epoll, make_inotify, make_directory };
	static void (*const changers[])(void) = { copy, copy, reopen, move, set_flags, set_owner, lock, change_names, close_one, watch, watch, watch };
	if (nr_fds < 5 || roll(5) < 2)
		makers[roll(sizeof(makers) / sizeof(*makers))]();
	else
		changers[roll(sizeof(changers) / sizeof(*changers))]();
}

// What is told of all descriptors, line by line.
static struct told {
	int count;
	char lines[LINES][LINE];
} *before, *after;

static struct seen {
	pid_t pid;
	int fd;
	unsigned long inode;
} seen[PROCESSES * 80];
static int nr_seen;

__attribute__((format(printf, 2, 3))) static void tell(struct told *told, const char *form, ...)
{
	va_list list;
	if (told->count == LINES)
		fail("too much to tell");
	va_start(list, form);
	vsnprintf(told->lines[told->count++], LINE, form, list);
	va_end(list);
}

// Lines of fdinfo that have to stay; those of other numbers in each life are left out, or cut.
static void tell_info(struct told *told, pid_t pid, int fd)
{
	char path[60], text[8192], *rest = text;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	int info = must(open(path, O_RDONLY | O_CLOEXEC));
	ssize_t n = must(read(info, text, sizeof(text) - 1));
	close(info);
	text[n] = 0;
	char *sorted[200];
	int count = 0;
	for (char *line; (line = strsep(&rest, "\n")) && *line && count < 200;) {
		if (!strncmp(line, "mnt_id", 6) || !strncmp(line, "ino:", 4) || !strncmp(line, "eventfd-id", 10) ||
		    !strncmp(line, "it_value", 8) || !strncmp(line, "ticks", 5))
			continue;
		char *cut = !strncmp(line, "tfd:", 4) ? strstr(line, " pos:") : !strncmp(line, "inotify", 7) ? strstr(line, " ignored_mask") : NULL;
		if (cut)
			*cut = 0;
		if (!strncmp(line, "lock:", 5)) { // lock:<tab>1: FLOCK ADVISORY WRITE 12 00:1f:345 0 EOF
			line = strchr(line + 6, ':') + 2;
			char *inode = strrchr(line, ':');
			memset(inode, '.', strcspn(inode, " "));
			char *setter = strstr(line, " ADVISORY"); // of flock(2) it's anybody who has the file
			if (!strncmp(line, "FLOCK", 5) && setter)
				*setter = 0;
		}
		int at = count++;
		for (; at > 0 && strcmp(sorted[at - 1], line) > 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = line;
	}
	for (int i = 0; i < count; i++)
		tell(told, "%d/%d %.150s", pid, fd, sorted[i]);
}

// What waits in a pipe, by a copy of it.
static void tell_pipe(struct told *told, pid_t pid, int fd, const char *path)
{
	int end = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), copies[2], waiting = 0;
	char data[65536];
	uint64_t sum = 0;
	if (end < 0)
		return;
	must(ioctl(end, FIONREAD, &waiting));
	must(pipe2(copies, O_NONBLOCK | O_CLOEXEC));
	ssize_t n = tee(end, copies[1], sizeof(data), SPLICE_F_NONBLOCK);
	n = n > 0 ? must(read(copies[0], data, sizeof(data))) : 0;
	for (ssize_t i = 0; i < n; i++)
		sum = sum * 31 + (unsigned char)data[i];
	tell(told, "%d/%d pipe %d bytes, size %d, sum %lx", pid, fd, waiting, fcntl(end, F_GETPIPE_SZ), sum);
	close(copies[0]);
	close(copies[1]);
	close(end);
}

static void tell_content(struct told *told, pid_t pid, int fd, const char *path, const struct stat *status)
{
	char data[40000];
	uint64_t sum = 0;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return;
	ssize_t n = must(pread(file, data, sizeof(data), 0));
	for (ssize_t i = 0; i < n; i++)
		sum = sum * 31 + (unsigned char)data[i];
	tell(told, "%d/%d %ld bytes, mode %o, %s, sum %lx, seals %x", pid, fd, status->st_size, status->st_mode,
	     status->st_nlink ? "named" : "deleted", sum, fcntl(file, F_GET_SEALS));
	close(file);
}

static void tell_owner(struct told *told, int pidfd, pid_t pid, int fd)
{
	int own = must(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
	if (!(fcntl(own, F_GETFL) & O_PATH))
		tell(told, "%d/%d owner %d, signal %d", pid, fd, fcntl(own, F_GETOWN), fcntl(own, F_GETSIG));
	close(own);
}

static void tell_one(struct told *told, int pidfd, pid_t pid, int fd)
{
	char path[60], target[200];
	struct stat status;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	ssize_t n = must(readlink(path, target, sizeof(target) - 1));
	target[n] = 0;
	must(stat(path, &status));
	tell_info(told, pid, fd);
	tell_owner(told, pidfd, pid, fd);
	if (S_ISFIFO(status.st_mode))
		tell_pipe(told, pid, fd, path);
	else if (S_ISREG(status.st_mode))
		tell_content(told, pid, fd, path, &status);
	if (target[0] == '/' && status.st_nlink > 0)
		tell(told, "%d/%d is %.150s", pid, fd, target);
	// The first that is the same open file, and the first that is the same file.
	for (int i = 0; i < nr_seen; i++)
		if (syscall(SYS_kcmp, pid, seen[i].pid, 0, fd, seen[i].fd) == 0) {
			tell(told, "%d/%d is open as %d/%d", pid, fd, seen[i].pid, seen[i].fd);
			break;
		}
	for (int i = 0; S_ISFIFO(status.st_mode) && i < nr_seen; i++)
		if (status.st_ino == seen[i].inode) {
			tell(told, "%d/%d is the pipe of %d/%d", pid, fd, seen[i].pid, seen[i].fd);
			break;
		}
	must_be(nr_seen < (int)(sizeof(seen) / sizeof(*seen)));
	seen[nr_seen++] = (struct seen){ pid, fd, status.st_ino };
}

static void tell_process(struct told *told, pid_t pid)
{
	char path[40];
	int numbers[200], count = 0, pidfd = must(syscall(SYS_pidfd_open, pid, 0));
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	must_be(dir != NULL);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && count < 200)
			numbers[count++] = atoi(entry->d_name);
	for (int i = 0; i < count; i++)
		if (numbers[i] > 2 && numbers[i] != scenario_out)
			tell_one(told, pidfd, pid, numbers[i]);
	closedir(dir);
	close(pidfd);
}

static pid_t *workers;

// Does its steps, and after half of them lets the next one begin with all that is open.
__attribute__((noreturn)) static void work(int number, int done)
{
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	signal(SIGTERM, SIG_IGN);
	dice += number;
	workers[number] = getpid();
	for (int i = 0; i < STEPS; i++) {
		step();
		if (i == STEPS / 2 && number + 1 < PROCESSES && must(fork()) == 0)
			work(number + 1, done);
	}
	must_be(write(done, "", 1) == 1);
	close(done);
	for (;;)
		pause();
}

// Whoever holds a lock would lose it by looking at its own files, so that another process does.
int main(int argc, char **argv)
{
	int done[2];
	scenario_start(argc, argv);
	before = mmap(NULL, 2 * sizeof(*before), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	workers = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must_be(before != MAP_FAILED && workers != MAP_FAILED);
	after = before + 1;
	dice = DICE_SEED(SEED);
	must(pipe2(done, O_CLOEXEC));
	if (must(fork()) == 0) {
		close(done[0]);
		work(0, done[1]);
	}
	close(done[1]);
	char byte;
	for (int i = 0; i < PROCESSES; i++)
		must_be(read(done[0], &byte, 1) == 1);
	must_be(read(done[0], &byte, 1) == 0); // all have closed theirs
	close(done[0]);
	for (int i = 0; i < PROCESSES; i++)
		tell_process(before, workers[i]);
	ready();
	wait_for_trigger();
	nr_seen = 0;
	for (int i = 0; i < PROCESSES; i++)
		tell_process(after, workers[i]);
	for (int i = 0; i < before->count || i < after->count; i++)
		expect_text("what is told", before->lines[i], after->lines[i]);
	must(kill(workers[0], SIGKILL));
	pass();
}
