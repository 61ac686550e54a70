/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells how far the moving of memory has come, from a thread of its own: the others are busy with that. What can't be written at
 * once is dropped. Counting costs one addition for some MiB. */
#define _GNU_SOURCE
#include "deaf-thread.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 250
#define QUIET_MS 1000
#define ERASE "\r\033[K"
#define MIN_COLUMNS 24

static _Atomic uint64_t done;
static _Atomic int64_t total;

static struct {
	struct cr_progress request;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t start;
	int running, ended, ok, shown;
	int tty, json, json_socket;
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t milliseconds(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000ull + at.tv_nsec / 1000000;
}

void cr_progress_count(uint64_t bytes)
{
	atomic_fetch_add_explicit(&done, bytes, memory_order_relaxed);
}

/* A description of our own that never blocks; -1 when there can't be one. Sockets are asked for that at each message. */
static int open_again(int fd, int *is_socket)
{
	struct stat stat;
	char path[32];

	*is_socket = 0;
	if (fd < 0 || fstat(fd, &stat))
		return -1;
	*is_socket = S_ISSOCK(stat.st_mode);
	/* Another description of a plain file would begin to write at its start. */
	if (*is_socket || S_ISREG(stat.st_mode))
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void give_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A line that got through in part would spoil the next one. */
static void tell_json(const char *text, size_t length)
{
	ssize_t put = now.json_socket ? send(now.json, text, length, MSG_DONTWAIT | MSG_NOSIGNAL)
				      : write(now.json, text, length);
	if (put < 0 ? errno != EAGAIN : (size_t)put < length)
		give_up(&now.json);
}

static void erase(void)
{
	if (now.shown && write(now.tty, ERASE, sizeof(ERASE) - 1) < 0)
		give_up(&now.tty);
	now.shown = 0;
}

static void put_size(char *to, size_t room, uint64_t bytes)
{
	static const char units[] = "KMGT";
	double value = bytes / 1024.0;
	int unit = 0;
	while (value >= 1000 && unit < 3) {
		value /= 1024;
		unit++;
	}
	snprintf(to, room, value < 10 ? "%.1f %ciB" : "%.0f %ciB", value, units[unit]);
}

struct state {
	uint64_t bytes, total, ms, rate;
	int64_t left_ms; /* -1: unknown */
};

static struct state look(void)
{
	struct state state = { .bytes = atomic_load(&done), .ms = milliseconds() - now.start, .left_ms = -1 };
	int64_t expected = atomic_load(&total);
	if (now.request.counter)
		state.bytes += atomic_load((_Atomic uint64_t *)now.request.counter);
	if (expected > 0)
		state.total = (uint64_t)expected > state.bytes ? (uint64_t)expected : state.bytes;
	state.rate = state.ms ? state.bytes * 1000 / state.ms : 0;
	if (state.total && state.rate)
		state.left_ms = (int64_t)((state.total - state.bytes) * 1000 / state.rate);
	return state;
}

static void show(const struct state *state)
{
	char line[160], bytes[16], all[16], rate[16];
	struct winsize size = { 0 };
	int length;

	if (!state->bytes || ioctl(now.tty, TIOCGWINSZ, &size) || size.ws_col < MIN_COLUMNS)
		return;
	put_size(bytes, sizeof(bytes), state->bytes);
	put_size(all, sizeof(all), state->total);
	put_size(rate, sizeof(rate), state->rate);
	if (state->left_ms < 0)
		length = snprintf(line, sizeof(line), "\r%s: %s, %s/s", now.request.what, bytes, rate);
	else
		length = snprintf(line, sizeof(line), "\r%s: %s of %s, %s/s, %llu s left", now.request.what, bytes, all, rate,
				  (unsigned long long)(state->left_ms + 999) / 1000);
	if (length > size.ws_col)
		length = size.ws_col; /* the carriage return takes no room; the last column stays free */
	memcpy(line + length, "\033[K", 3);
	if (write(now.tty, line, length + 3) < 0 && errno != EAGAIN)
		give_up(&now.tty);
	now.shown = 1;
}

static void tell(const char *event)
{
	struct state state = look();
	char line[320], ok[16] = "";

	if (now.tty >= 0 && !now.ended && state.ms >= QUIET_MS)
		show(&state);
	if (now.json < 0)
		return;
	if (now.ended)
		snprintf(ok, sizeof(ok), ",\"ok\":%s", now.ok ? "true" : "false");
	int length = snprintf(line, sizeof(line),
			      "{\"event\":\"%s\",\"what\":\"%s\",\"bytes\":%llu,\"total\":%llu,\"ms\":%llu,\"rate\":%llu,"
			      "\"left_ms\":%lld%s}\n",
			      event, now.request.what, (unsigned long long)state.bytes, (unsigned long long)state.total,
			      (unsigned long long)state.ms, (unsigned long long)state.rate, (long long)state.left_ms, ok);
	tell_json(line, length);
}

static void *tick(void *unused)
{
	struct timespec until;

	pthread_mutex_lock(&now.lock);
	tell("begin");
	clock_gettime(CLOCK_MONOTONIC, &until);
	while (!now.ended) {
		until.tv_nsec += TICK_MS * 1000000l;
		if (until.tv_nsec >= 1000000000l) {
			until.tv_nsec -= 1000000000l;
			until.tv_sec++;
		}
		while (!now.ended && pthread_cond_timedwait(&now.wake, &now.lock, &until) != ETIMEDOUT)
			;
		if (!now.ended)
			tell("progress");
	}
	erase();
	tell("end");
	pthread_mutex_unlock(&now.lock);
	return unused;
}

/* Begins to tell. One at a time: -EBUSY. What was counted before counts no more. */
int64_t cr_progress_start(const struct cr_progress *request)
{
	pthread_condattr_t clock;
	int ignored, ret;

	if (now.running)
		return -EBUSY;
	now.request = *request;
	now.request.what[sizeof(now.request.what) - 1] = 0;
	now.request.counter = 0;
	now.ended = now.ok = now.shown = 0;
	now.start = milliseconds();
	atomic_store(&done, 0);
	atomic_store(&total, 0);
	now.tty = open_again(request->tty_fd, &ignored);
	now.json = open_again(request->json_fd, &now.json_socket);
	if (now.tty < 0 && now.json < 0)
		return 0;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&now.wake, &clock);
	/* A pipe that nobody reads sends a signal. */
	ret = start_deaf_thread(&now.thread, tick, NULL);
	now.running = ret == 0;
	if (ret) {
		give_up(&now.tty);
		give_up(&now.json);
	}
	return -ret;
}

/* Counts `bytes`, expects `more`; `counter`: the address of a number to be added from now on, 0 for the same as before, 1 for none. */
int64_t cr_progress_note(uint64_t bytes, int64_t more, uint64_t counter)
{
	atomic_fetch_add(&done, bytes);
	atomic_fetch_add(&total, more);
	if (counter && now.running) {
		pthread_mutex_lock(&now.lock);
		if (now.request.counter)
			atomic_fetch_add(&done, atomic_load((_Atomic uint64_t *)now.request.counter));
		now.request.counter = counter == 1 ? 0 : counter;
		pthread_mutex_unlock(&now.lock);
	}
	return 0;
}

/* Makes room on the terminal for somebody else's line. */
int64_t cr_progress_hide(void)
{
	if (!now.running)
		return 0;
	pthread_mutex_lock(&now.lock);
	erase();
	pthread_mutex_unlock(&now.lock);
	return 0;
}

int64_t cr_progress_end(int32_t ok)
{
	if (!now.running)
		return 0;
	pthread_mutex_lock(&now.lock);
	now.ended = 1;
	now.ok = ok;
	pthread_cond_signal(&now.wake);
	pthread_mutex_unlock(&now.lock);
	pthread_join(now.thread, NULL);
	pthread_cond_destroy(&now.wake);
	now.running = 0;
	give_up(&now.tty);
	give_up(&now.json);
	return 0;
}
