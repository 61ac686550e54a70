// SPDX-License-Identifier: GPL-2.0-only
// Ends `criu dump -R` by a signal at random instants and looks after each time whether the target is as it was:
//   killer CRIU PID PAGE IMAGES ROUNDS SEED SIGNAL [poke|stopped|storm]
// PAGE is the score file of target.c. Every other kill falls into the time in which the target is traced, which is short
// beside criu's start. One line per casualty, then `summary KEY=VALUE …`. Exit code 0 only without casualties.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATE_SIZE (256 * 1024)
#define SETTLE_NS 5000000000ll
#define STORM_NS 100000

struct score {
	uint64_t ready, progress, errors, error_kind, eintr, signals, late_ns;
};

static const char *criu, *images;
static char pid_text[16];
static pid_t pid;
static volatile struct score *score;
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

static size_t read_proc(const char *name, char *buffer, size_t room)
{
	char path[64];
	size_t have = 0;
	ssize_t n;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (have < room - 1 && (n = read(fd, buffer + have, room - 1 - have)) > 0)
		have += n;
	close(fd);
	buffer[have] = 0;
	return have;
}

static long read_field(const char *name)
{
	static char status[8192];
	read_proc("status", status, sizeof(status));
	char *at = strstr(status, name);
	if (!at)
		return -1;
	at += strlen(name);
	while (*at == '\t' || *at == ' ')
		at++;
	return name[0] == 'S' && name[1] == 't' ? *at : atol(at);
}

static int run_state(void)
{
	return (int)read_field("State:");
}

// Everything that has to stay as it is, as one text: mappings, signal lines of status, descriptors.
static size_t read_state(char *into)
{
	static char status[8192];
	static const char *const lines[] = { "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "Threads:" };
	size_t have = read_proc("maps", into, STATE_SIZE - 16384);
	read_proc("status", status, sizeof(status));
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *at = strstr(status, lines[i]);
		unsigned long long value = at ? strtoull(at + strlen(lines[i]), NULL, 16) : 0;
		if (storm && i < 3)
			value &= ~(1ull << (SIGUSR1 - 1));
		have += sprintf(into + have, "%s%llx\n", lines[i], value);
	}
	for (int fd = 0; fd < 16; fd++) {
		char name[32], link[256];
		snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, fd);
		ssize_t n = readlink(name, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = 0;
		have += sprintf(into + have, "fd%d:%s\n", fd, link);
	}
	return have;
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
			if (read_field("TracerPid:") > 0) {
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
	int state = run_state();
	return kill(pid, 0) == 0 && state != 'Z' && state != 'X' && state != -1;
}

// A group-stopped target finishes the cure when it is continued at the latest; reference/injection.md section 6, 4.
static void settle(const char *before)
{
	static char after[STATE_SIZE];
	int64_t deadline = now_ns() + SETTLE_NS, nudge = now_ns() + 50000000;
	int nudged = 0;
	for (;;) {
		if (!is_alive())
			return report_casualty("the target is dead");
		read_state(after);
		if (!strcmp(before, after))
			break;
		if (stopped && !nudged && now_ns() > nudge) {
			nudged = 1;
			continued++;
			kill(pid, SIGCONT);
		}
		if (now_ns() > deadline)
			return report_casualty("%s", find_difference(before, after));
		give_time();
	}
	if (!stopped)
		return;
	if (nudged)
		kill(pid, SIGSTOP);
	while (run_state() != 'T') {
		if (now_ns() > deadline)
			return report_casualty("the stopped target runs");
		give_time();
	}
}

static void check_progress(void)
{
	int64_t deadline = now_ns() + SETTLE_NS;
	uint64_t from = score->progress;
	if (stopped)
		kill(pid, SIGCONT);
	if (poke)
		kill(pid, SIGUSR1);
	while (score->progress < from + 2 - poke) {
		if (!is_alive())
			return report_casualty("the target died later");
		if (now_ns() > deadline)
			return report_casualty("the target makes no progress (state %c)", run_state());
		give_time();
	}
	if (stopped) {
		kill(pid, SIGSTOP);
		while (run_state() != 'T' && now_ns() < deadline)
			give_time();
	}
	if (score->errors) {
		report_casualty("the target's check of itself failed (kind %llu)", (unsigned long long)score->error_kind);
		score->errors = 0;
	}
}

static void play_round(const char *before)
{
	int64_t start = now_ns();
	pid_t child = start_dump();
	if (rounds & 1) {
		while (read_field("TracerPid:") <= 0 && !is_over(child))
			;
		start = now_ns();
		wait_until(start + (int64_t)(drand48() * traced_ns));
	} else {
		wait_until(start + (int64_t)(drand48() * dump_ns));
	}
	int was_traced = read_field("TracerPid:") > 0;
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
	for (;;) {
		wait_until(now_ns() + STORM_NS);
		if (kill(pid, SIGUSR1) < 0)
			_exit(0);
	}
}

int main(int argc, char **argv)
{
	static char before[STATE_SIZE];
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
	score = mmap(NULL, sizeof(*score), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || score == MAP_FAILED)
		return 2;
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
	printf("summary rounds=%d ended=%d traced=%d refused=%d continued=%d eintr=%llu signals=%llu late_us=%llu dump_us=%lld "
	       "traced_us=%lld casualties=%d\n",
	       rounds, ended, traced, refused, continued, (unsigned long long)score->eintr,
	       (unsigned long long)score->signals, (unsigned long long)score->late_ns / 1000, (long long)dump_ns / 1000,
	       (long long)traced_ns / 1000, casualties);
	return casualties ? 1 : 0;
}
