/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel shows nobody what waits in a terminal without handing it over: so it's read and put back (TIOCSTI). That is
 * done by a child which doesn't end when we are killed: nothing is lost in between. Source: ioctl_tty(2), drivers/tty/n_tty.c. */
#define _GNU_SOURCE
#include "apart.h"
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <asm/termbits.h>

#define STACK_SIZE (64 * 1024)
/* What a line discipline holds at most; one place stays free. */
#define QUEUE_SIZE 4095
#define LINE_MAX_SIZE 4096

static int64_t raw3(int64_t nr, int64_t a, int64_t b, int64_t c)
{
	return cr_syscall(nr, a, b, c, 0, 0, 0);
}

static int is_ready(int fd, short events)
{
	struct pollfd on = { .fd = fd, .events = events };
	return raw3(SYS_poll, (int64_t)&on, 1, 0) > 0 && (on.revents & events);
}

/* Gives what read(2) gives, without the byte of status. */
static int64_t take(struct cr_requeue *request)
{
	uint32_t room = request->capacity - request->length;
	uint8_t *at = (uint8_t *)request->data + request->length;
	int64_t got = raw3(SYS_read, request->fd, (int64_t)at, room < LINE_MAX_SIZE ? room : LINE_MAX_SIZE);
	if (got > 0 && request->packets) {
		got--;
		for (int64_t i = 0; i < got; i++)
			at[i] = at[i + 1];
	}
	if (got > 0)
		request->length += got;
	return got;
}

static void take_lines(struct cr_requeue *request)
{
	uint32_t *ends = (uint32_t *)request->ends;
	const struct termios *own = (const struct termios *)request->own;
	while (request->nr_ends < request->max_ends && request->capacity > request->length && is_ready(request->fd, POLLIN)) {
		int64_t got = take(request);
		if (got < 0)
			return;
		uint8_t last = got > 0 ? ((uint8_t *)request->data)[request->length - 1] : 0;
		int is_line = got > 0 && (last == '\n' || (last && (last == own->c_cc[VEOL] || last == own->c_cc[VEOL2])));
		ends[request->nr_ends++] = (uint32_t)got * 2 + !is_line;
	}
}

static uint8_t find_unused(const uint8_t *data, uint32_t length)
{
	uint8_t used[256] = { 0 };
	for (uint32_t i = 0; i < length; i++)
		used[data[i]] = 1;
	for (uint32_t c = 1; c < 255; c++)
		if (!used[c] && c != '\n')
			return c;
	return 0;
}

static void set_termios(struct cr_requeue *request, uint64_t termios)
{
	if (termios && raw3(SYS_ioctl, request->fd, TCSETS, termios) < 0)
		request->error = EIO;
}

struct putting {
	struct cr_requeue *request;
	uint32_t left; /* room in the line discipline */
};

static uint32_t put(struct putting *state, const uint8_t *bytes, uint32_t count)
{
	uint32_t done = 0;
	for (; done < count && state->left > 0; done++, state->left--) {
		int64_t ret = raw3(SYS_ioctl, state->request->fd, TIOCSTI, (int64_t)&bytes[done]);
		if (ret < 0) {
			state->request->error = (int32_t)-ret;
			state->left = 0;
			break;
		}
	}
	return done;
}

/* What has no room goes the way it came, and waits before the line discipline, as it did. */
static void send_rest(struct cr_requeue *request, const uint8_t *bytes, uint32_t count)
{
	for (uint32_t done = 0; done < count;) {
		int64_t ret = is_ready(request->other_fd, POLLOUT)
				      ? raw3(SYS_write, request->other_fd, (int64_t)(bytes + done), count - done)
				      : -EAGAIN;
		if (ret <= 0) {
			request->error = ret < 0 ? (int32_t)-ret : EIO;
			return;
		}
		done += ret;
	}
}

/* What was printed goes to the master once more as it is, also when output is stopped. */
static void print_rest(struct cr_requeue *request, const uint8_t *bytes, uint32_t count)
{
	struct termios own, plain;
	int slave = request->other_fd;

	request->stopped = !is_ready(slave, POLLOUT);
	if (count == 0)
		return;
	if (raw3(SYS_ioctl, slave, TCGETS, (int64_t)&own) < 0) {
		request->error = EIO;
		return;
	}
	plain = own;
	plain.c_oflag &= ~OPOST;
	raw3(SYS_ioctl, slave, TCSETS, (int64_t)&plain);
	if (request->stopped) {
		raw3(SYS_ioctl, slave, TCXONC, TCOOFF);
		raw3(SYS_ioctl, slave, TCXONC, TCOON);
	}
	send_rest(request, bytes, count);
	raw3(SYS_ioctl, slave, TCSETS, (int64_t)&own);
	if (!request->stopped)
		return;
	if ((own.c_iflag & IXON) && own.c_cc[VSTOP])
		raw3(SYS_ioctl, slave, TIOCSTI, (int64_t)&own.c_cc[VSTOP]);
	else
		raw3(SYS_ioctl, slave, TCXONC, TCOOFF);
}

static void put_back(struct cr_requeue *request)
{
	const uint8_t *data = (const uint8_t *)request->data;
	const uint32_t *ends = (const uint32_t *)request->ends;
	struct putting state = { request, QUEUE_SIZE };
	uint32_t at = 0;
	uint8_t eof = 0;

	if (request->lines) {
		eof = find_unused(data, request->length);
		((struct termios *)request->lines)->c_cc[VEOF] = eof;
		set_termios(request, request->lines);
	}
	for (uint32_t i = 0; i < request->nr_ends; i++) {
		uint32_t count = ends[i] / 2;
		uint32_t done = put(&state, data + at, count);
		at += done;
		if (done < count)
			break;
		if ((ends[i] & 1) && put(&state, &eof, 1) < 1)
			request->error = ENOSPC;
	}
	at += put(&state, data + at, request->length - at);
	if (!request->own) {
		print_rest(request, data + at, request->length - at);
		return;
	}
	set_termios(request, request->own);
	send_rest(request, data + at, request->length - at);
}

static void child(void *arg, const void *unused)
{
	struct cr_requeue *request = arg;
	struct termios unlocked = { 0 };
	(void)unused;
	if (request->locks)
		raw3(SYS_ioctl, request->fd, TIOCSLCKTRMIOS, (int64_t)&unlocked);
	if (request->lines)
		take_lines(request);
	set_termios(request, request->raw);
	while (request->capacity > request->length && is_ready(request->fd, POLLIN) && take(request) > 0)
		;
	put_back(request);
	if (request->locks)
		raw3(SYS_ioctl, request->fd, TIOCSLCKTRMIOS, (int64_t)request->locks);
}

/* Gives 0 or -errno. */
int64_t cr_requeue(struct cr_requeue *request)
{
	uint64_t all = ~0ull, old;
	struct clone_args args = { .flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND };
	uint8_t *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	request->length = 0;
	request->nr_ends = 0;
	request->error = 0;
	request->stopped = 0;
	if (stack == MAP_FAILED)
		return -errno;
	args.stack = (uint64_t)stack;
	args.stack_size = STACK_SIZE;
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&old, 8, 0, 0);
	int64_t pid = run_apart(&args, child, request, NULL);
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8, 0, 0);
	munmap(stack, STACK_SIZE);
	if (pid < 0)
		return pid;
	cr_syscall(SYS_wait4, pid, 0, 0x40000000 /* __WALL */, 0, 0, 0);
	return -request->error;
}
