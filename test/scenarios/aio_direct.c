// SPDX-License-Identifier: GPL-2.0-only
// Native AIO past the page cache (O_DIRECT), with requests in flight at any instant: each one ends, once, with its data.
// @busy
// @may-differ (stat/state|status/State|tree|stat/blocked) as the moment wants it
// @may-differ fd/.* it's reading and writing
// @storm 10
// @skip-peer the original doesn't wait for requests in flight
#include "aio.h"

#define DEPTH 16
#define BLOCK 65536UL

static struct iocb requests[DEPTH];
static unsigned char *blocks[DEPTH];
static unsigned long turns[DEPTH];
static int is_write[DEPTH];

static void start(aio_context_t context, int fd, int i)
{
	struct iocb *request = &requests[i];
	memset(request, 0, sizeof(*request));
	is_write[i] = !is_write[i];
	memset(blocks[i], is_write[i] ? (int)(++turns[i] + i) : 0, BLOCK);
	request->aio_data = i;
	request->aio_lio_opcode = is_write[i] ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	request->aio_fildes = fd;
	request->aio_buf = (uintptr_t)blocks[i];
	request->aio_nbytes = BLOCK;
	request->aio_offset = i * BLOCK;
	struct iocb *list[] = { request };
	expect("requests submitted", 1, syscall(SYS_io_submit, context, 1, list));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = open("data", O_CREAT | O_RDWR | O_DIRECT, 0600);
	if (fd < 0)
		skip("O_DIRECT: %s", strerror(errno));
	must(ftruncate(fd, DEPTH * BLOCK));
	aio_context_t context = new_context(DEPTH);
	for (int i = 0; i < DEPTH; i++) {
		blocks[i] = must(mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		start(context, fd, i);
	}
	ready();
	int flying = DEPTH;
	for (unsigned long turn = 0; flying > 0; turn++) {
		struct io_event event;
		struct timespec limit = { 20, 0 };
		long count = syscall(SYS_io_getevents, context, 1, 1, &event, &limit);
		// A stop ends this call, dump or not.
		if (count < 0 && errno == EINTR)
			continue;
		expect("events within twenty seconds", 1, count);
		int i = event.data;
		expect("result", BLOCK, event.res);
		// A snapshot's file may be newer than its memory.
		turns[i] += (blocks[i][0] - (turns[i] + i)) & 0x7f;
		for (unsigned long at = 0; at < BLOCK; at += 512)
			expect("byte of a block", (turns[i] + i) & 0xff, blocks[i][at]);
		if (scenario_triggered)
			flying--;
		else
			start(context, fd, i);
		breathe(turn);
	}
	must(syscall(SYS_io_destroy, context));
	pass();
}
