// SPDX-License-Identifier: GPL-2.0-only
// What every scenario program shares. A program sets something up, calls ready(), wait_for_trigger(), checks, and pass().
// argv[1] is its output file: READY, then PASS, SKIP or FAIL with what was wrong. Exit code 0 for PASS and SKIP.
#ifndef SCENARIO_H
#define SCENARIO_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

static int scenario_out = -1;
static const char *scenario_out_path;
static volatile sig_atomic_t scenario_triggered;

// For loops at full speed, called in each turn: an instant of rest every now and then. Some virtual machines (Linux 6.18 under
// PVM) lose their clock tick while threads do nothing but wake each other, and nothing else runs any more.
static inline void breathe(unsigned long turn)
{
	if (turn % 128 == 127)
		nanosleep(&(struct timespec){ 0, 200000 }, NULL);
}

static inline void say_and_exit(int code, const char *word, const char *form, va_list list)
{
	char line[1024];
	int n = snprintf(line, sizeof(line), "%s: ", word);
	n += vsnprintf(line + n, sizeof(line) - n - 1, form, list);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(scenario_out, line, n) != n)
		_exit(3);
	_exit(code);
}

// Ends the program with "FAIL: …".
__attribute__((format(printf, 1, 2), noreturn, unused)) static void fail(const char *form, ...)
{
	va_list list;
	va_start(list, form);
	say_and_exit(1, "FAIL", form, list);
	__builtin_unreachable();
}

// Ends the program with "SKIP: …": this kernel or machine lacks what the case needs.
__attribute__((format(printf, 1, 2), noreturn, unused)) static void skip(const char *form, ...)
{
	va_list list;
	va_start(list, form);
	say_and_exit(0, "SKIP", form, list);
	__builtin_unreachable();
}

// Set-up that has to work: a call that gave -1, or a condition.
#define must(call)                                                                                          \
	({                                                                                                      \
		__typeof__(call) result_ = (call);                                                                  \
		if ((long)result_ == -1)                                                                            \
			fail("%s, wanted success, got errno %d (%s)", #call, errno, strerror(errno));                   \
		result_;                                                                                            \
	})
#define must_be(condition)                                                                                  \
	do {                                                                                                    \
		if (!(condition))                                                                                   \
			fail("%s, wanted true, got false (errno %d)", #condition, errno);                               \
	} while (0)

// Checks: what, wanted, got.
#define expect(what, wanted, got)                                                                           \
	do {                                                                                                    \
		long long wanted_ = (long long)(wanted), got_ = (long long)(got);                                   \
		if (wanted_ != got_)                                                                                \
			fail("%s, wanted %lld (0x%llx), got %lld (0x%llx)", what, wanted_, wanted_, got_, got_);        \
	} while (0)
#define expect_text(what, wanted, got)                                                                      \
	do {                                                                                                    \
		const char *wanted_ = (wanted), *got_ = (got);                                                      \
		if (strcmp(wanted_, got_))                                                                          \
			fail("%s, wanted \"%s\", got \"%s\"", what, wanted_, got_);                                     \
	} while (0)

__attribute__((unused)) static void expect_bytes(const char *what, const void *wanted, const void *got, size_t n)
{
	const unsigned char *a = wanted, *b = got;
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			fail("%s at byte %zu of %zu, wanted 0x%02x, got 0x%02x", what, i, n, a[i], b[i]);
}

// Reproducible bytes from a seed, the same in set-up and check.
__attribute__((unused)) static void fill(void *at, size_t n, uint64_t seed)
{
	unsigned char *p = at;
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 0x1234567;
	for (size_t i = 0; i < n; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p + i, &x, n - i < 8 ? n - i : 8);
	}
}

__attribute__((unused)) static void expect_fill(const char *what, const void *at, size_t n, uint64_t seed)
{
	unsigned char *want = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must_be(want != MAP_FAILED);
	fill(want, n, seed);
	expect_bytes(what, want, at, n);
	must(munmap(want, n));
}

static void scenario_on_trigger(int sig)
{
	(void)sig;
	scenario_triggered = 1;
}

// First call of main: opens the output file and takes SIGTERM as the trigger.
__attribute__((unused)) static void scenario_start(int argc, char **argv)
{
	if (argc < 2)
		_exit(2);
	scenario_out_path = argv[1];
	scenario_out = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (scenario_out < 0)
		_exit(2);
	struct sigaction action = { .sa_handler = scenario_on_trigger };
	if (sigaction(SIGTERM, &action, NULL) < 0)
		_exit(2);
}

__attribute__((unused)) static void ready(void)
{
	if (write(scenario_out, "READY\n", 6) != 6)
		_exit(3);
}

// Sleeps until SIGTERM has come. Its own use of signals: SIGTERM blocked outside of sigsuspend.
__attribute__((unused)) static void wait_for_trigger(void)
{
	sigset_t term, old;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	sigset_t open = old;
	sigdelset(&open, SIGTERM);
	while (!scenario_triggered)
		sigsuspend(&open);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

// For programs marked "@trigger file", which want no signal: sleeps until OUT.go exists.
__attribute__((unused)) static void wait_for_file(void)
{
	char path[512];
	snprintf(path, sizeof(path), "%s.go", scenario_out_path);
	struct timespec ms = { 0, 2000000 };
	while (access(path, F_OK) < 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
}

__attribute__((noreturn, unused)) static void pass(void)
{
	if (write(scenario_out, "PASS\n", 5) != 5)
		_exit(3);
	_exit(0);
}
#endif
