/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread that ends us when the main one hangs in one call while others stand still because of us: a file system that doesn't
 * answer can't be left in any other way, and at our end the kernel lets them go. */
#define _GNU_SOURCE
#include "deaf-thread.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICKS_PER_SECOND 4

static struct {
	struct cr_stuck request;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int running, ended;
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* How often the main thread has left the processor; -1 while it's about to run, or when that can't be told. */
static long long count_switches(void)
{
	char path[48], text[4096];
	long long total = 0;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", getpid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return -1;
	text[length] = 0;
	if (strstr(text, "\nState:\tR"))
		return -1;
	for (const char *at = text; (at = strstr(at, "voluntary_ctxt_switches:\t")) != NULL; found++) {
		at = strchr(at, '\t') + 1;
		total += strtoll(at, NULL, 10);
	}
	return found == 2 ? total : -1;
}

/* A log may lie on the very file system that doesn't answer: the kernel ends us then. */
static void end_soon(void)
{
	struct sigevent end = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	const struct itimerspec in = { .it_value = { .tv_sec = 1 } };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &end, &timer) || timer_settime(timer, 0, &in, NULL))
		kill(getpid(), SIGKILL);
}

/* Not into a pipe that is full. */
static void say(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };

	if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && write(fd, (const void *)now.request.text, now.request.length) < 0)
		return;
}

static void *watch(void *arg)
{
	long long last = -1;
	uint32_t ticks = 0;
	struct timespec until;

	pthread_mutex_lock(&now.lock);
	while (!now.ended) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 1000000000 / TICKS_PER_SECOND;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&now.wake, &now.lock, &until) != ETIMEDOUT)
			continue;
		long long switches = __atomic_load_n((uint32_t *)now.request.armed, __ATOMIC_ACQUIRE) ? count_switches() : -1;
		ticks = switches >= 0 && switches == last ? ticks + 1 : 0;
		last = switches;
		if (ticks < now.request.seconds * TICKS_PER_SECOND)
			continue;
		end_soon();
		say(STDERR_FILENO);
		say(now.request.log_fd);
		kill(getpid(), SIGKILL);
	}
	pthread_mutex_unlock(&now.lock);
	return arg;
}

/* What the request points to stays as it is until the end, but for `armed`. */
int64_t cr_stuck_start(const struct cr_stuck *request)
{
	pthread_condattr_t clock;
	int ret;

	if (now.running)
		return -EBUSY;
	now.request = *request;
	now.ended = 0;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&now.wake, &clock);
	ret = start_deaf_thread(&now.thread, watch, NULL);
	now.running = ret == 0;
	return -ret;
}

int64_t cr_stuck_end(void)
{
	if (!now.running)
		return 0;
	pthread_mutex_lock(&now.lock);
	now.ended = 1;
	pthread_cond_signal(&now.wake);
	pthread_mutex_unlock(&now.lock);
	pthread_join(now.thread, NULL);
	pthread_cond_destroy(&now.wake);
	now.running = 0;
	return 0;
}
