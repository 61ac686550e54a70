// SPDX-License-Identifier: GPL-2.0-only
// Ends `criu dump -R` by a signal at random instants and looks after each time whether the target is as it was:
//   killer CRIU PID PAGE IMAGES ROUNDS SEED SIGNAL [poke|stopped|storm]      killer throw PID: only the storm of signals
// The target is PID with all its threads and descendants; PAGE is the score file of target.c. Every other kill falls into the
// time in which the target is traced, which is short beside criu's start. One line per casualty, then `summary KEY=VALUE …`. Exit code 0 only without casualties.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATE_SIZE (1024 * 1024)
#define MAX_TASKS 64
#define MAX_SLOTS 64
#define SETTLE_NS 5000000000ll
#define NUDGE_NS 50000000

struct score {
	uint64_t ready, progress, errors, error_kind, eintr, signals, late_ns, pid;
};

static const char *criu, *images;
static char pid_text[16];
static pid_t pid;
static volatile struct score *slots;
static pid_t pids[MAX_TASKS], tids[MAX_TASKS], halted[MAX_TASKS]; // tids[i] is a thread of owners[i]
static pid_t owners[MAX_TASKS];
static int nr_pids, nr_tids, nr_halted;
static int poke, stopped, storm, end_signal;
static int rounds, ended, traced, continued, refused, casualties;
static int64_t dump_ns, traced_ns;

static int64_t now_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ll + at.tv_nsec;
}

static void wait_until(int64_t instant)
{
	int64_t left = instant - now_ns();
	if (left > 200000) {
		struct timespec t = { (left - 100000) / 1000000000, (left - 100000) % 1000000000 };
		nanosleep(&t, NULL);
	}
	while (now_ns() < instant)
		;
}

static void give_time(void)
{
	struct timespec t = { 0, 200000 };
	nanosleep(&t, NULL);
}

static void report_casualty(const char *form, ...)
{
	va_list list;
	va_start(list, form);
	printf("casualty in round %d: ", rounds);
	vprintf(form, list);
	printf("\n");
	fflush(stdout);
	va_end(list);
	casualties++;
}

static size_t read_proc(pid_t of, const char *name, char *buffer, size_t room)
{
	char path[64];
	size_t have = 0;
	ssize_t n;
	snprintf(path, sizeof(path), "/proc/%d/%s", of, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && have < room - 1 && (n = read(fd, buffer + have, room - 1 - have)) > 0)
		have += n;
	if (fd >= 0)
		close(fd);
	buffer[have] = 0;
	return have;
}

static long read_field(pid_t of, const char *name)
{
	static char status[8192];
	read_proc(of, "status", status, sizeof(status));
	char *at = strstr(status, name);
	if (!at)
		return -1;
	at += strlen(name);
	while (*at == '\t' || *at == ' ')
		at++;
	return name[0] == 'S' && name[1] == 't' ? *at : atol(at);
}

static int run_state(pid_t of)
{
	return (int)read_field(of, "State:");
}

// Threads of a process, their children, and so on.
static void find_tasks(pid_t of)
{
	char path[64], text[1024];
	snprintf(path, sizeof(path), "/proc/%d/task", of);
	if (nr_pids < MAX_TASKS)
		pids[nr_pids++] = of;
	if (run_state(of) == 'T' && nr_halted < MAX_TASKS)
		halted[nr_halted++] = of;
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.' || nr_tids == MAX_TASKS)
			continue;
		pid_t tid = atoi(entry->d_name);
		owners[nr_tids] = of;
		tids[nr_tids++] = tid;
		snprintf(path, sizeof(path), "task/%d/children", tid);
		read_proc(of, path, text, sizeof(text));
		char *end;
		for (char *at = text; strtol(at, &end, 10) > 0; at = end)
			find_tasks(strtol(at, NULL, 10));
	}
	if (dir)
		closedir(dir);
}

// Signals of one thread, as status tells them.
static size_t read_signals(pid_t tid, char *into)
{
	static char status[8192];
	static const char *const lines[] = { "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "Threads:" };
	size_t have = 0;
	read_proc(tid, "status", status, sizeof(status));
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *at = strstr(status, lines[i]);
		unsigned long long value = at ? strtoull(at + strlen(lines[i]), NULL, 16) : 0;
		if (storm && i < 3)
			value &= ~(1ull << (SIGUSR1 - 1));
		have += sprintf(into + have, "%d %s%llx\n", tid, lines[i], value);
	}
	return have;
}

// Everything that has to stay as it is, as one text: mappings, signal lines of status, descriptors.
static void read_state(char *into)
{
	size_t have = 0;
	for (int i = 0; i < nr_pids; i++) {
		have += read_proc(pids[i], "maps", into + have, STATE_SIZE - have - 65536);
		for (int fd = 0; fd < 16; fd++) {
			char name[32], link[256];
			snprintf(name, sizeof(name), "/proc/%d/fd/%d", pids[i], fd);
			ssize_t n = readlink(name, link, sizeof(link) - 1);
			if (n >= 0)
				have += sprintf(into + have, "%d fd%d:%.*s\n", pids[i], fd, (int)n, link);
		}
	}
	for (int i = 0; i < nr_tids; i++)
		have += read_signals(tids[i], into + have);
}

static const char *find_difference(const char *before, const char *after)
{
	static char text[512];
	size_t at = 0;
	while (before[at] && before[at] == after[at])
		at++;
	while (at > 0 && before[at - 1] != '\n')
		at--;
	snprintf(text, sizeof(text), "was \"%.*s\", is \"%.*s\"", (int)strcspn(before + at, "\n"), before + at,
		 (int)strcspn(after + at, "\n"), after + at);
	return text;
}

static pid_t start_dump(void)
{
	pid_t child = fork();
	if (child < 0)
		exit(3);
	if (child > 0)
		return child;
	int null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	execl(criu, criu, "dump", "-R", "-t", pid_text, "-D", images, "-o", "dump.log", NULL);
	_exit(126);
}

static int is_over(pid_t child)
{
	siginfo_t info = { .si_pid = 0 };
	return waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0;
}

// Whole dumps first: how long the quickest takes, and how long of that the target is traced.
static void measure(void)
{
	for (int i = 0; i < 3; i++) {
		int64_t start = now_ns(), first = 0, last = 0;
		pid_t child = start_dump();
		while (!is_over(child)) {
			if (read_field(pid, "TracerPid:") > 0) {
				last = now_ns();
				first = first ? first : last;
			}
		}
		int status;
		waitpid(child, &status, 0);
		if (status != 0) {
			printf("a dump without a kill failed with status %x\n", status);
			exit(3);
		}
		int64_t whole = now_ns() - start;
		if (i == 0 || whole < dump_ns) {
			dump_ns = whole;
			traced_ns = last - first;
		}
	}
}

static int is_alive(void)
{
	int state = run_state(pid);
	return kill(pid, 0) == 0 && state != 'Z' && state != 'X' && state != -1;
}

static void kill_halted(int sig)
{
	for (int i = 0; i < nr_halted; i++)
		kill(halted[i], sig);
}

static void await_halt(int64_t deadline)
{
	for (int i = 0; i < nr_halted; i++)
		while (run_state(halted[i]) != 'T') {
			if (now_ns() > deadline)
				return report_casualty("stopped process %d runs (state %c)", halted[i], run_state(halted[i]));
			give_time();
		}
}

// A group-stopped target finishes the cure when it is continued at the latest; reference/injection.md section 6, 4.
static void settle(const char *before)
{
	static char after[STATE_SIZE];
	int64_t deadline = now_ns() + SETTLE_NS, nudge = now_ns() + NUDGE_NS;
	int nudged = 0;
	for (;;) {
		if (!is_alive())
			return report_casualty("the target is dead");
		read_state(after);
		if (!strcmp(before, after))
			break;
		if (nr_halted && !nudged && now_ns() > nudge) {
			nudged = 1;
			continued++;
			kill_halted(SIGCONT);
		}
		if (now_ns() > deadline)
			return report_casualty("%s", find_difference(before, after));
		give_time();
	}
	if (nudged)
		kill_halted(SIGSTOP);
	await_halt(deadline);
}

// Each thread that works has gone on twice.
static int went_on(const uint64_t *from)
{
	for (int i = 0; i < MAX_SLOTS; i++)
		if (slots[i].ready == 1 && slots[i].progress < from[i] + 2 - poke)
			return 0;
	return 1;
}

static void check_progress(void)
{
	int64_t deadline = now_ns() + SETTLE_NS;
	uint64_t from[MAX_SLOTS];
	for (int i = 0; i < MAX_SLOTS; i++)
		from[i] = slots[i].progress;
	if (stopped)
		kill(pid, SIGCONT);
	if (poke)
		kill(pid, SIGUSR1);
	while (!went_on(from)) {
		if (!is_alive())
			return report_casualty("the target died later");
		if (now_ns() > deadline) {
			for (int i = 0; i < MAX_SLOTS; i++)
				if (slots[i].ready == 1 && slots[i].progress < from[i] + 2 - poke)
					report_casualty("thread %d makes no progress", i);
			return;
		}
		give_time();
	}
	if (stopped) {
		kill(pid, SIGSTOP);
		await_halt(deadline);
	}
	for (int i = 0; i < MAX_SLOTS; i++)
		if (slots[i].errors) {
			report_casualty("the check of itself of thread %d failed (kind %llu)", i,
					(unsigned long long)slots[i].error_kind);
			slots[i].errors = 0;
		}
}

static void play_round(const char *before)
{
	int64_t start = now_ns();
	pid_t child = start_dump();
	if (rounds & 1) {
		while (read_field(pid, "TracerPid:") <= 0 && !is_over(child))
			;
		start = now_ns();
		wait_until(start + (int64_t)(drand48() * traced_ns));
	} else {
		wait_until(start + (int64_t)(drand48() * dump_ns));
	}
	int was_traced = read_field(pid, "TracerPid:") > 0;
	kill(child, end_signal);
	int status;
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status)) {
		ended++;
		traced += was_traced;
	} else if (WEXITSTATUS(status) != 0) {
		refused++;
	}
	settle(before);
	if (is_alive())
		check_progress();
}

static void throw_signals(void)
{
	for (int i = 0;; i = (i + 1) % nr_tids) {
		give_time();
		// Now to a thread, now to whichever the kernel picks.
		if (syscall(SYS_tgkill, owners[i], tids[i], SIGUSR1) < 0 || kill(owners[i], SIGUSR1) < 0)
			_exit(0);
	}
}

int main(int argc, char **argv)
{
	static char before[STATE_SIZE];
	if (argc == 3 && !strcmp(argv[1], "throw")) {
		find_tasks(atoi(argv[2]));
		throw_signals();
	}
	if (argc < 8)
		return 2;
	criu = argv[1];
	pid = atoi(argv[2]);
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	images = argv[4];
	int wanted = atoi(argv[5]);
	srand48(atol(argv[6]));
	end_signal = atoi(argv[7]);
	const char *how = argc > 8 ? argv[8] : "";
	poke = !strcmp(how, "poke");
	stopped = !strcmp(how, "stopped");
	storm = !strcmp(how, "storm");
	int fd = open(argv[3], O_RDWR | O_CLOEXEC);
	slots = mmap(NULL, MAX_SLOTS * sizeof(*slots), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || slots == MAP_FAILED)
		return 2;
	find_tasks(pid);
	read_state(before);
	pid_t thrower = storm ? fork() : 0;
	if (storm && thrower == 0)
		throw_signals();
	measure();
	for (rounds = 0; rounds < wanted && is_alive(); rounds++)
		play_round(before);
	if (thrower > 0)
		kill(thrower, SIGKILL);
	if (rounds < wanted)
		report_casualty("the target is gone");
	uint64_t eintr = 0, signals = 0, late_ns = 0;
	for (int i = 0; i < MAX_SLOTS; i++) {
		eintr += slots[i].eintr;
		signals += slots[i].signals;
		late_ns = slots[i].late_ns > late_ns ? slots[i].late_ns : late_ns;
	}
	printf("summary rounds=%d ended=%d traced=%d refused=%d continued=%d eintr=%llu signals=%llu late_us=%llu dump_us=%lld "
	       "traced_us=%lld casualties=%d\n",
	       rounds, ended, traced, refused, continued, (unsigned long long)eintr,
	       (unsigned long long)signals, (unsigned long long)late_ns / 1000, (long long)dump_ns / 1000,
	       (long long)traced_ns / 1000, casualties);
	return casualties ? 1 : 0;
}
