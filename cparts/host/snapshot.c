/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory of processes that run on, as it was at one instant: it's write-protected by userfaultfds of ours, and copied by threads
 * of ours, blocks that somebody wants to write to first. Nobody but us has these descriptors: when we end, however that
 * happens, the kernel lifts the protection. What the processes unmap, move or drop before it's copied is lost, and told.
 * Source: userfaultfd(2), ioctl_userfaultfd(2). */
#define _GNU_SOURCE
#include "apart.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define BUFFER (2ul << 20)
#define SMALL_SHIFT 16
#define HUGE_SHIFT 21
#define COPIERS 2
#define STACK 16384ul
#define MESSAGES 64
#define LONG (256ul << 20)
#define BEAT_MS 100
#define CHECK_MS 500
/* So many checks without a beat, and we're stopped or stuck: the processes mustn't wait for us. */
#define LATE_CHECKS 20

enum { FREE, TAKEN, DONE };

struct snapshot {
	struct cr_snapshot *request;
	struct cr_late_task *tasks;
	uint64_t *first;              /* of each piece of all tasks, one after the other: its first block */
	_Atomic uint8_t *states;      /* of each block */
	uint64_t nr_pieces, nr_blocks;
	_Atomic uint64_t done;
	_Atomic int64_t error;
	_Atomic int active;           /* threads */
	pthread_mutex_t events;       /* held while messages are read, and while protection is lifted */
	pthread_t threads[COPIERS + 1];
	int nr_threads, stop_fd, copies;
	_Atomic uint64_t beat;
	pid_t parent, watchdog;
	uint8_t *stack;               /* the watchdog's */
};

static void fail(struct snapshot *all, int64_t error, uint64_t address, int failed_write)
{
	int64_t none = 0;
	uint64_t one = 1;
	if (atomic_compare_exchange_strong(&all->error, &none, error)) {
		all->request->failed_at = address;
		all->request->failed_write = failed_write;
	}
	if (write(all->stop_fd, &one, sizeof(one)) < 0)
		return;
}

static uint64_t shift_of(const struct cr_late *piece)
{
	return piece->flags & CR_LATE_HUGE ? HUGE_SHIFT : SMALL_SHIFT;
}

static int protect(int uffd, uint64_t start, uint64_t end, uint64_t mode)
{
	struct uffdio_writeprotect arg = { .range = { start, end - start }, .mode = mode };
	while (ioctl(uffd, UFFDIO_WRITEPROTECT, &arg))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int read_memory(const struct cr_late_task *task, const struct cr_late *piece, uint64_t at, uint8_t *to, uint64_t bytes)
{
	struct iovec local = { to, bytes }, remote = { (void *)at, bytes };
	ssize_t got = piece->flags & CR_LATE_SHARED ? 0 : process_vm_readv(task->pid, &local, 1, &remote, 1, 0);
	uint64_t have = got < 0 ? 0 : (uint64_t)got & ~(PAGE - 1);
	while (have < bytes) {
		got = pread(task->mem_fd, to + have, bytes - have, (off_t)(at + have));
		if (got <= 0)
			return -1;
		have += (uint64_t)got;
	}
	return 0;
}

/* Takes what came from a userfaultfd; the lock is held. Faults go to `faults`, at most MESSAGES; gives how many. */
static int take_messages(struct snapshot *all, uint32_t index, uint64_t base, uint64_t *faults)
{
	struct cr_late_task *task = &all->tasks[index];
	struct uffd_msg messages[MESSAGES];
	int nr = 0;
	ssize_t got = read(task->uffd, messages, sizeof(messages));
	for (ssize_t i = 0; i * (ssize_t)sizeof(messages[0]) < got; i++) {
		uint64_t start, end;
		switch (messages[i].event) {
		case UFFD_EVENT_PAGEFAULT:
			faults[nr++] = messages[i].arg.pagefault.address;
			continue;
		case UFFD_EVENT_REMAP:
			start = messages[i].arg.remap.from;
			end = start + messages[i].arg.remap.len;
			break;
		case UFFD_EVENT_REMOVE:
		case UFFD_EVENT_UNMAP:
			start = messages[i].arg.remove.start;
			end = messages[i].arg.remove.end;
			break;
		default:
			continue;
		}
		const struct cr_late *pieces = (const struct cr_late *)task->pieces;
		for (uint64_t p = 0; p < task->nr_pieces; p++) {
			uint64_t from = pieces[p].address, to = from + pieces[p].bytes, shift = shift_of(&pieces[p]);
			if (to <= start || from >= end)
				continue;
			uint64_t low = (start > from ? start : from) >> shift, high = ((end < to ? end : to) - 1) >> shift;
			for (uint64_t b = low; b <= high; b++)
				if (atomic_load(&all->states[all->first[base + p] + b - (from >> shift)]) != DONE) {
					fail(all, -ESTALE, start, 0);
					break;
				}
		}
	}
	return nr;
}

/* Copies blocks low to high of a piece, that are ours. */
static void copy_blocks(struct snapshot *all, uint32_t index, uint64_t base, uint64_t p, uint64_t low, uint64_t high,
			uint8_t *buffer)
{
	struct cr_late_task *task = &all->tasks[index];
	const struct cr_late *piece = &((const struct cr_late *)task->pieces)[p];
	uint64_t shift = shift_of(piece), origin = piece->address >> shift, ignored[MESSAGES];
	uint64_t start = (origin + low) << shift, end = (origin + high + 1) << shift;
	if (start < piece->address)
		start = piece->address;
	if (end > piece->address + piece->bytes)
		end = piece->address + piece->bytes;
	int bad = read_memory(task, piece, start, buffer, end - start), error;
	for (;;) {
		pthread_mutex_lock(&all->events);
		error = protect(task->uffd, start, end, 0);
		/* Somebody changes mappings and waits until we know. Dropped faults are answered when their blocks' turn comes. */
		if (error == -EAGAIN)
			take_messages(all, index, base, ignored);
		/* What was unmapped or moved while we read was told before the protection could be lifted: it's an error by now. */
		else if (!bad && !error && !atomic_load(&all->error))
			for (uint64_t b = low; b <= high; b++)
				atomic_store(&all->states[all->first[base + p] + b], DONE);
		pthread_mutex_unlock(&all->events);
		if (error != -EAGAIN || atomic_load(&all->error))
			break;
		sched_yield();
	}
	if (bad || error) {
		fail(all, -ESTALE, start, 0);
		return;
	}
	for (uint64_t put = 0; put < end - start;) {
		off_t at = (off_t)(piece->offset + (start - piece->address) + put);
		ssize_t got = pwrite(task->out_fd, buffer + put, end - start - put, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fail(all, got < 0 ? -errno : -EIO, start, 1);
			return;
		}
		put += (uint64_t)got;
	}
	cr_progress_count(end - start);
	uint64_t one = 1;
	if (atomic_fetch_add(&all->done, high - low + 1) + (high - low + 1) == all->nr_blocks &&
	    write(all->stop_fd, &one, sizeof(one)) < 0)
		return;
}

static int claim(struct snapshot *all, uint64_t block)
{
	uint8_t expected = FREE;
	return atomic_compare_exchange_strong(&all->states[block], &expected, TAKEN);
}

/* Copies the block with a protected page that somebody wants to write to. */
static void answer(struct snapshot *all, uint32_t index, uint64_t base, uint64_t address, uint8_t *buffer)
{
	struct cr_late_task *task = &all->tasks[index];
	const struct cr_late *pieces = (const struct cr_late *)task->pieces;
	uint64_t low = 0, high = task->nr_pieces;
	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (pieces[middle].address + pieces[middle].bytes <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == task->nr_pieces || pieces[low].address > address)
		return;
	uint64_t block = (address >> shift_of(&pieces[low])) - (pieces[low].address >> shift_of(&pieces[low]));
	if (claim(all, all->first[base + low] + block))
		copy_blocks(all, index, base, low, block, block, buffer);
}

/* The last thread that ends lets the processes go: all of them run on freely, whatever has become of the copy. */
static void leave(struct snapshot *all)
{
	if (atomic_fetch_sub(&all->active, 1) > 1)
		return;
	for (uint64_t i = 0; i < all->request->nr_tasks; i++)
		close(all->tasks[i].uffd);
}

static int is_over(struct snapshot *all)
{
	return atomic_load(&all->error) || atomic_load(&all->done) == all->nr_blocks;
}

static uint8_t *make_buffer(struct snapshot *all)
{
	uint8_t *buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer != MAP_FAILED)
		return buffer;
	fail(all, -errno, 0, 0);
	return NULL;
}

static void *attend(void *arg)
{
	struct snapshot *all = arg;
	uint64_t nr = all->request->nr_tasks, faults[MESSAGES];
	struct pollfd *polled = calloc(nr + 1, sizeof(*polled));
	uint8_t *buffer = make_buffer(all);
	if (!polled)
		fail(all, -ENOMEM, 0, 0);
	for (uint64_t i = 0; polled && i < nr; i++)
		polled[i] = (struct pollfd){ .fd = all->tasks[i].uffd, .events = POLLIN };
	if (polled)
		polled[nr] = (struct pollfd){ .fd = all->stop_fd, .events = POLLIN };
	while (!is_over(all)) {
		atomic_fetch_add(&all->beat, 1);
		if (poll(polled, nr + 1, BEAT_MS) <= 0)
			continue;
		for (uint64_t i = 0, base = 0; i < nr; base += all->tasks[i++].nr_pieces) {
			if (!(polled[i].revents & POLLIN))
				continue;
			pthread_mutex_lock(&all->events);
			int count = take_messages(all, (uint32_t)i, base, faults);
			pthread_mutex_unlock(&all->events);
			for (int f = 0; f < count && !atomic_load(&all->error); f++)
				answer(all, (uint32_t)i, base, faults[f], buffer);
		}
	}
	free(polled);
	if (buffer)
		munmap(buffer, BUFFER);
	leave(all);
	return NULL;
}

/* Copies what nobody asks for. Blocks that lie together are copied together. */
static void *copy_all(void *arg)
{
	struct snapshot *all = arg;
	uint8_t *buffer = make_buffer(all);
	for (uint64_t i = 0, base = 0; buffer && i < all->request->nr_tasks; base += all->tasks[i++].nr_pieces) {
		const struct cr_late *pieces = (const struct cr_late *)all->tasks[i].pieces;
		for (uint64_t p = 0; p < all->tasks[i].nr_pieces; p++) {
			uint64_t shift = shift_of(&pieces[p]), first = all->first[base + p];
			uint64_t nr = ((pieces[p].address + pieces[p].bytes - 1) >> shift) - (pieces[p].address >> shift) + 1;
			for (uint64_t b = 0; b < nr && !atomic_load(&all->error);) {
				uint64_t from = b;
				while (b < nr && b - from < BUFFER >> shift && claim(all, first + b))
					b++;
				if (b > from)
					copy_blocks(all, (uint32_t)i, base, p, from, b - 1, buffer);
				else
					b++;
			}
		}
	}
	if (buffer)
		munmap(buffer, BUFFER);
	leave(all);
	return NULL;
}

/* Ends us when we don't get on: the processes that we keep from writing would stand still as long. Shares our memory, but not
 * our descriptors: above all the userfaultfds have to go with us. */
static void watch(void *arg, const void *pid)
{
	struct snapshot *all = arg;
	pid_t parent = *(const pid_t *)pid;
	struct timespec pause = { .tv_nsec = CHECK_MS * 1000000l };
	uint64_t last = 0;
	cr_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	cr_syscall(SYS_prctl, PR_SET_NAME, (int64_t)"criu-guard", 0, 0, 0, 0);
	cr_syscall(SYS_close_range, 0, ~0u, 0, 0, 0, 0);
	if (cr_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) != parent)
		return;
	for (int late = 0; late < LATE_CHECKS;) {
		cr_syscall(SYS_nanosleep, (int64_t)&pause, 0, 0, 0, 0, 0);
		uint64_t beat = atomic_load(&all->beat);
		late = beat == last ? late + 1 : 0;
		last = beat;
	}
	if (cr_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) == parent)
		cr_syscall(SYS_kill, parent, SIGKILL, 0, 0, 0, 0);
}

static int64_t start_watchdog(struct snapshot *all)
{
	uint64_t mask = ~0ul, old;
	struct clone_args args = {
		/* No exit signal: nobody else's wait(2) is to find it. */
		.flags = CLONE_VM | CLONE_CLEAR_SIGHAND,
		.stack = (uint64_t)all->stack,
		.stack_size = STACK,
	};
	all->parent = getpid();
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&mask, (int64_t)&old, 8, 0, 0);
	int64_t pid = run_apart(&args, watch, all, &all->parent);
	cr_leave_group(pid);
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8, 0, 0);
	return pid;
}

static void end_watchdog(struct snapshot *all)
{
	if (all->watchdog <= 0)
		return;
	cr_syscall(SYS_kill, all->watchdog, SIGKILL, 0, 0, 0, 0);
	while (cr_syscall(SYS_wait4, all->watchdog, 0, 0x40000000 /* __WALL */, 0, 0, 0) == -EINTR)
		;
}

static void release(struct snapshot *all)
{
	end_watchdog(all);
	if (all->stack)
		munmap(all->stack, STACK);
	if (all->stop_fd >= 0)
		close(all->stop_fd);
	free((void *)all->states);
	free(all->first);
	free(all);
}

static int64_t prepare(struct snapshot *all)
{
	struct cr_snapshot *request = all->request;
	all->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (uint64_t i = 0; i < request->nr_tasks; i++)
		all->nr_pieces += all->tasks[i].nr_pieces;
	all->first = calloc(all->nr_pieces + 1, sizeof(*all->first));
	void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	all->stack = stack == MAP_FAILED ? NULL : stack;
	if (all->stop_fd < 0 || !all->first || !all->stack)
		return -ENOMEM;
	for (uint64_t i = 0, at = 0; i < request->nr_tasks; i++)
		for (uint64_t p = 0; p < all->tasks[i].nr_pieces; p++) {
			const struct cr_late *piece = &((const struct cr_late *)all->tasks[i].pieces)[p];
			uint64_t shift = shift_of(piece);
			all->first[at++] = all->nr_blocks;
			all->nr_blocks += ((piece->address + piece->bytes - 1) >> shift) - (piece->address >> shift) + 1;
		}
	all->states = calloc(all->nr_blocks + 1, 1);
	return all->states ? 0 : -ENOMEM;
}

static int64_t start_thread(struct snapshot *all, void *(*entry)(void *))
{
	atomic_fetch_add(&all->active, 1);
	int64_t ret = -pthread_create(&all->threads[all->nr_threads], NULL, entry, all);
	if (ret)
		atomic_fetch_sub(&all->active, 1);
	else
		all->nr_threads++;
	return ret;
}

struct arming {
	struct snapshot *all;
	uint64_t part, of;
	int64_t error;
};

/* True when two processors are quicker by more than it takes to wait for the second, which may be busy. */
static int is_long(const struct snapshot *all)
{
	uint64_t bytes = 0;
	for (uint64_t i = 0; i < all->request->nr_tasks; i++)
		for (uint64_t p = 0; p < all->tasks[i].nr_pieces; p++) {
			const struct cr_late *piece = &((const struct cr_late *)all->tasks[i].pieces)[p];
			if (!(piece->flags & CR_LATE_HUGE))
				bytes += piece->bytes;
		}
	return bytes > LONG;
}

/* Protects every second stretch of up to 64 MiB, or all of them. */
static void *arm(void *arg)
{
	struct arming *own = arg;
	uint64_t turn = 0;
	for (uint64_t i = 0; i < own->all->request->nr_tasks; i++) {
		const struct cr_late_task *task = &own->all->tasks[i];
		for (uint64_t p = 0; p < task->nr_pieces && !own->error; p++) {
			const struct cr_late *piece = &((const struct cr_late *)task->pieces)[p];
			uint64_t end = piece->address + piece->bytes;
			for (uint64_t at = piece->address, next; at < end && !own->error; at = next) {
				next = (at + (64ul << 20)) & ~((64ul << 20) - 1);
				if (next > end)
					next = end;
				if (turn++ % own->of == own->part)
					own->error = protect(task->uffd, at, next, UFFDIO_WRITEPROTECT_MODE_WP);
			}
		}
	}
	return NULL;
}

/* The processes stand still. Takes over the userfaultfds: they are closed when all is copied, or when anything fails. */
int64_t cr_snapshot_start(struct cr_snapshot *request)
{
	struct snapshot *all = calloc(1, sizeof(*all));
	pthread_t helper;
	if (!all)
		return -ENOMEM;
	all->request = request;
	all->tasks = (struct cr_late_task *)request->tasks;
	pthread_mutex_init(&all->events, NULL);
	int64_t ret = prepare(all);
	if (!ret) {
		struct arming halves[2] = { { all, 0, 2, 0 }, { all, 1, 2, 0 } };
		int helped = is_long(all) && pthread_create(&helper, NULL, arm, &halves[1]) == 0;
		if (!helped)
			halves[0].of = 1;
		arm(&halves[0]);
		if (helped)
			pthread_join(helper, NULL);
		ret = halves[0].error ? halves[0].error : halves[1].error;
	}
	if (!ret) {
		all->watchdog = (pid_t)start_watchdog(all);
		ret = all->watchdog < 0 ? all->watchdog : 0;
	}
	/* One more than there is, until the copy begins: nobody closes anything before. */
	all->active = 1;
	if (!ret)
		ret = start_thread(all, attend);
	if (!ret) {
		request->handle = (uint64_t)all;
		return 0;
	}
	fail(all, ret, 0, 0);
	leave(all);
	release(all);
	return ret;
}

/* The processes run on by now: until then who copies would only keep whoever lets them go from a processor. */
int64_t cr_snapshot_copy(struct cr_snapshot *request)
{
	struct snapshot *all = (struct snapshot *)request->handle;
	int64_t ret = 0;
	for (int i = 0; !ret && i < COPIERS; i++)
		ret = start_thread(all, copy_all);
	/* One that copies is enough. */
	if (all->nr_threads < 2)
		fail(all, ret, 0, 0);
	all->copies = 1;
	leave(all);
	return 0;
}

/* Ends it before all is copied when `cancel`. Gives 0, -ESTALE when memory was gone before it could be copied, or -errno. */
int64_t cr_snapshot_end(struct cr_snapshot *request, int32_t cancel)
{
	struct snapshot *all = (struct snapshot *)request->handle;
	if (cancel)
		fail(all, -ECANCELED, 0, 0);
	if (!all->copies)
		leave(all);
	for (int i = 0; i < all->nr_threads; i++)
		pthread_join(all->threads[i], NULL);
	int64_t error = all->error;
	release(all);
	request->handle = 0;
	return error;
}
