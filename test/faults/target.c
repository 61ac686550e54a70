// SPDX-License-Identifier: GPL-2.0-only
// The program that faults and kills of criu must not harm: `target CAST PAGE` checks itself for ever and keeps score in the
// file PAGE, which it maps: one slot per thread, in the order of CAST. CAST: modes of threads divided by ',', processes by
// '/'; process N is the parent of 2N+1 and 2N+2.
// Modes: busy, calm (busy at times), altstack, storm (busy, counts SIGUSR1), nanosleep, poll, select, futex_timed: calls of 50 ms in a row;
// ghost: busy, with a file that is deleted and one that has another name; ping and pong: two threads that wake each other.
// Alone only: read, futex: block until SIGUSR1 pokes them. Whole processes: writer and reader of one pipe; zombie, killed:
// dead ones that their parent doesn't reap; stopped. All registers are in use, see digest.h.
#define _GNU_SOURCE
#include "digest.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL_NS 50000000l
#define ITERATIONS 30000
#define HEAP_PAGES 64
#define MAX_CAST 64
#define PAUSE_NS 200000l
#define BLOCK 64

// What killer.c and victim.ts read; keep them alike. ready: 1 works, 2 is dead or stopped, as it should be.
struct score {
	uint64_t ready, progress, errors, error_kind, eintr, signals, late_ns, pid;
};

enum { BAD_DIGEST = 1, BAD_MASK, BAD_HEAP, BAD_STACK, BAD_CALL, BAD_PENDING, BAD_EARLY, BAD_FILE, BAD_SELF, BAD_CHILD, BAD_PIPE };

// One process of the cast.
struct role {
	char *modes[MAX_CAST];
	int threads, slot;
};

static struct role roles[MAX_CAST];
static int nr_roles;
static const char *page_path;
static volatile struct score *slots;
static __thread volatile struct score *score;
static __thread stack_t own_stack;
static __thread pid_t own_tid;
static pid_t own_parent;
static pid_t children[2]; // by role: of 2N+1 and 2N+2
static const struct role *child_roles[2];
static uint64_t table[32 * 8];
static struct digest reference;
static unsigned char *heap;
static sigset_t own_mask;
static int pipe_fds[2], line_fds[2];
static volatile uint32_t word;
static void (*digest)(const uint64_t *, struct digest *, uint64_t) = digest_sse;

static void fail(int kind)
{
	score->error_kind = kind;
	score->errors++;
}

static void check_memory(void)
{
	static __thread unsigned page;
	page = (page + 1) % HEAP_PAGES;
	for (unsigned i = 0; i < 4096; i++)
		if (heap[page * 4096 + i] != (unsigned char)(page * 7 + i))
			return fail(BAD_HEAP);
}

static void check_signals(int handling)
{
	sigset_t now, wanted = own_mask;
	stack_t stack;
	if (handling)
		sigaddset(&wanted, SIGUSR1);
	if (pthread_sigmask(SIG_SETMASK, NULL, &now) || memcmp(&now, &wanted, 8))
		fail(BAD_MASK);
	if (sigpending(&now) < 0 || !sigismember(&now, SIGUSR2) || !sigismember(&now, SIGRTMIN + 3))
		fail(BAD_PENDING);
	if (sigaltstack(NULL, &stack) < 0 || stack.ss_sp != own_stack.ss_sp || stack.ss_size != own_stack.ss_size ||
	    stack.ss_flags != (handling ? SS_ONSTACK : 0))
		fail(BAD_STACK);
}

static int is_mode(const struct role *role, const char *mode)
{
	return !strcmp(role->modes[0], mode);
}

// Dead children stay dead in the same way, the others live.
static void check_children(void)
{
	for (int i = 0; i < 2; i++) {
		siginfo_t info = { .si_pid = 0 };
		if (!child_roles[i])
			continue;
		if (waitid(P_PID, children[i], &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			fail(BAD_CHILD);
		else if (is_mode(child_roles[i], "zombie") && (info.si_code != CLD_EXITED || info.si_status != 7))
			fail(BAD_CHILD);
		else if (is_mode(child_roles[i], "killed") && (info.si_code != CLD_KILLED || info.si_status != SIGKILL))
			fail(BAD_CHILD);
		else if (info.si_pid && !is_mode(child_roles[i], "zombie") && !is_mode(child_roles[i], "killed"))
			fail(BAD_CHILD);
	}
}

static void check_all(int handling)
{
	check_memory();
	check_signals(handling);
	check_children();
	if (syscall(SYS_gettid) != own_tid || (own_parent && getppid() != own_parent))
		fail(BAD_SELF);
	score->progress++;
}

static void work(int handling)
{
	struct digest now;
	memset(&now, 0, sizeof(now));
	digest(table, &now, ITERATIONS);
	if (memcmp(&now, &reference, sizeof(now)))
		fail(BAD_DIGEST);
	check_all(handling);
}

static void on_usr1(int sig)
{
	int saved = errno;
	(void)sig;
	score->signals++;
	word = 1;
	if (pipe_fds[1] && write(pipe_fds[1], "x", 1) != 1)
		fail(BAD_CALL);
	errno = saved;
}

static void on_usr1_counting(int sig)
{
	(void)sig;
	score->signals++;
}

static void on_usr1_for_ever(int sig)
{
	(void)sig;
	score->ready = 1;
	for (;;)
		work(1);
}

static int64_t now_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ll + at.tv_nsec;
}

static long block(const char *mode)
{
	struct timespec limit = { 0, CALL_NS };
	struct timeval select_limit = { 0, CALL_NS / 1000 };
	char c;
	switch (mode[0]) {
	case 'n': return nanosleep(&limit, NULL);
	case 'p': return poll(NULL, 0, CALL_NS / 1000000);
	case 's': return select(0, NULL, NULL, NULL, &select_limit);
	case 'r': return read(pipe_fds[0], &c, 1) == 1 ? 0 : -1;
	default: break;
	}
	if (!strcmp(mode, "futex_timed")) {
		long ret = syscall(SYS_futex, &pipe_fds, FUTEX_WAIT, pipe_fds[0], &limit, NULL, 0);
		return ret < 0 && errno == ETIMEDOUT ? 0 : -1;
	}
	long ret = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	if (ret < 0 && errno != EAGAIN)
		return -1;
	word = 0;
	return 0;
}

static void block_for_ever(const char *mode)
{
	int timed = mode[0] != 'r' && strcmp(mode, "futex");
	for (;;) {
		int64_t start = now_ns();
		long ret = block(mode);
		int64_t late = now_ns() - start - CALL_NS;
		if (ret < 0 && errno == EINTR)
			score->eintr++;
		else if (ret < 0)
			fail(BAD_CALL);
		else if (timed && late < 0)
			fail(BAD_EARLY);
		else if (timed && late > (int64_t)score->late_ns)
			score->late_ns = late;
		check_all(0);
	}
}

static void count_end(long ret)
{
	if (ret < 0 && errno == EINTR)
		score->eintr++;
	else if (ret < 0)
		fail(BAD_CALL);
}

static void take_breath(void)
{
	struct timespec t = { 0, PAUSE_NS };
	count_end(nanosleep(&t, NULL));
}

// A wake-up that is lost stops both for ever.
static void alternate(uint32_t own, const char *mode)
{
	for (;;) {
		while (word != own) {
			long ret = syscall(SYS_futex, &word, FUTEX_WAIT, !own, NULL, NULL, 0);
			if (ret < 0 && errno != EAGAIN)
				count_end(ret);
		}
		check_all(0);
		if (!strcmp(mode, "ping") && score->progress % 4 == 0)
			take_breath();
		word = !own;
		syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
}

// No byte of a pipe may be lost or come twice.
static void pass_along(int writes)
{
	uint64_t next = 0, data[BLOCK];
	for (;;) {
		for (int i = 0; writes && i < BLOCK; i++)
			data[i] = next + i;
		long ret = writes ? write(line_fds[1], data, sizeof(data)) : read(line_fds[0], data, sizeof(data));
		if (ret < 0) {
			count_end(ret);
			continue;
		}
		if (ret != sizeof(data))
			fail(BAD_PIPE);
		for (int i = 0; i < BLOCK; i++)
			if (data[i] != next++)
				fail(BAD_PIPE);
		check_all(0);
		if (!writes)
			take_breath();
	}
}

static int ghost_fd, linked_fd;

// Files that a restore has to make under a name of its own for a moment.
static void hold_deleted_files(void)
{
	char path[4096], other[4096];
	snprintf(path, sizeof(path), "%s.ghost", page_path);
	ghost_fd = open(path, O_RDWR | O_CREAT, 0600);
	if (ghost_fd < 0 || write(ghost_fd, "ghost", 5) != 5 || unlink(path) < 0)
		_exit(2);
	snprintf(path, sizeof(path), "%s.first", page_path);
	snprintf(other, sizeof(other), "%s.second", page_path);
	linked_fd = open(path, O_RDWR | O_CREAT, 0600);
	if (linked_fd < 0 || write(linked_fd, "other", 5) != 5 || link(path, other) < 0)
		_exit(2);
}

static void check_deleted_files(void)
{
	char text[6] = "";
	struct stat st;
	if (pread(ghost_fd, text, 5, 0) != 5 || strcmp(text, "ghost") || fstat(ghost_fd, &st) < 0 || st.st_nlink != 0)
		fail(BAD_FILE);
	if (pread(linked_fd, text, 5, 0) != 5 || strcmp(text, "other"))
		fail(BAD_FILE);
}

static void prepare(void)
{
	int fd = open(page_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		_exit(2);
	slots = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	heap = malloc(HEAP_PAGES * 4096);
	if (slots == MAP_FAILED || !heap)
		_exit(2);
	close(fd);
	for (unsigned i = 0; i < HEAP_PAGES * 4096; i++)
		heap[i] = (unsigned char)(i / 4096 * 7 + i % 4096);
	for (unsigned i = 0; i < 32 * 8; i++)
		table[i] = (i + 1) * 0x9e3779b97f4a7c15ull;
	if (__builtin_cpu_supports("avx512f"))
		digest = digest_avx512;
	else if (__builtin_cpu_supports("avx2"))
		digest = digest_avx;
	digest(table, &reference, ITERATIONS);
	sigemptyset(&own_mask);
	sigaddset(&own_mask, SIGUSR2);
	sigaddset(&own_mask, SIGRTMIN + 3);
	sigprocmask(SIG_SETMASK, &own_mask, NULL);
}

static void prepare_thread(int slot)
{
	score = slots + slot;
	own_tid = syscall(SYS_gettid);
	score->pid = getpid();
	own_stack.ss_sp = malloc(65536);
	own_stack.ss_size = 65536;
	if (sigaltstack(&own_stack, NULL) < 0 || syscall(SYS_tgkill, getpid(), own_tid, SIGUSR2) < 0)
		_exit(2);
}

static void play(int slot, const char *mode)
{
	prepare_thread(slot);
	if (!strcmp(mode, "altstack"))
		raise(SIGUSR1);
	if (!strcmp(mode, "ghost"))
		hold_deleted_files();
	score->ready = 1;
	if (!strcmp(mode, "ping") || !strcmp(mode, "pong"))
		alternate(mode[1] == 'o', mode);
	if (!strcmp(mode, "writer") || !strcmp(mode, "reader"))
		pass_along(mode[0] == 'w');
	if (strcmp(mode, "busy") && strcmp(mode, "calm") && strcmp(mode, "storm") && strcmp(mode, "ghost"))
		block_for_ever(mode);
	for (;;) {
		work(0);
		if (!strcmp(mode, "ghost"))
			check_deleted_files();
		for (int i = 0; i < 10 && !strcmp(mode, "calm"); i++)
			take_breath();
	}
}

struct part {
	int slot;
	const char *mode;
};

static void *play_part(void *arg)
{
	struct part part = *(struct part *)arg;
	play(part.slot, part.mode);
	return NULL;
}

static void choose_handler(const struct role *role)
{
	int on_stack = is_mode(role, "altstack");
	int alone = nr_roles == 1 && role->threads == 1;
	struct sigaction action = { .sa_flags = SA_RESTART | (on_stack ? SA_ONSTACK : 0) };
	action.sa_handler = on_stack ? on_usr1_for_ever : alone ? on_usr1 : on_usr1_counting;
	sigaction(SIGUSR1, &action, NULL);
}

static void play_role(int number);

// Waits until a child is as dead or stopped as it should be.
static void start_child(int i, int number)
{
	siginfo_t info;
	const struct role *role = roles + number;
	children[i] = fork();
	if (children[i] < 0)
		_exit(2);
	if (children[i] == 0)
		play_role(number);
	child_roles[i] = role;
	int stops = is_mode(role, "stopped");
	if (!stops && !is_mode(role, "zombie") && !is_mode(role, "killed"))
		return;
	if (waitid(P_PID, children[i], &info, stops ? WSTOPPED : WEXITED | WNOWAIT) < 0)
		_exit(2);
	slots[role->slot].pid = children[i];
	slots[role->slot].ready = 2;
}

static void play_role(int number)
{
	const struct role *role = roles + number;
	union sigval value = { .sival_int = 7 };
	pthread_t thread;
	memset(child_roles, 0, sizeof(child_roles));
	own_parent = number ? getppid() : 0; // a restored root is somebody else's child
	if (is_mode(role, "zombie"))
		_exit(7);
	if (is_mode(role, "killed"))
		raise(SIGKILL);
	for (;is_mode(role, "stopped");)
		raise(SIGSTOP);
	for (int i = 0; i < 2; i++)
		if (2 * number + 1 + i < nr_roles)
			start_child(i, 2 * number + 1 + i);
	choose_handler(role);
	if (sigqueue(getpid(), SIGRTMIN + 3, value) < 0 || sigqueue(getpid(), SIGRTMIN + 3, value) < 0)
		_exit(2);
	for (int i = 1; i < role->threads; i++) {
		struct part *part = malloc(sizeof(*part));
		*part = (struct part){ role->slot + i, role->modes[i] };
		if (pthread_create(&thread, NULL, play_part, part))
			_exit(2);
	}
	play(role->slot, role->modes[0]);
}

static void read_cast(char *text)
{
	int slot = 0;
	for (char *process; (process = strsep(&text, "/"));) {
		struct role *role = roles + nr_roles++;
		role->slot = slot;
		for (char *mode; (mode = strsep(&process, ","));)
			role->modes[role->threads++] = mode;
		slot += role->threads;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	page_path = argv[2];
	read_cast(argv[1]);
	prepare();
	if ((is_mode(roles, "read") && pipe(pipe_fds) < 0) || (nr_roles > 1 && pipe(line_fds) < 0))
		return 2;
	play_role(0);
}
