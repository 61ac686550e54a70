// SPDX-License-Identifier: GPL-2.0-only
// Native asynchronous I/O in scenario programs.
#ifndef AIO_H
#define AIO_H
#include "scenario.h"
#include <linux/aio_abi.h>

// The head of a ring, as the kernel and libaio know it.
struct ring_head {
	unsigned id, nr, head, tail;
};

__attribute__((unused)) static aio_context_t new_context(unsigned requests)
{
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, requests, &context) < 0)
		skip("io_setup: %s", strerror(errno));
	return context;
}

// Reads nothing from a file; the event that comes of it has this number.
__attribute__((unused)) static void submit(aio_context_t context, int fd, uint64_t number)
{
	char byte;
	struct iocb request = { .aio_data = number, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd };
	request.aio_buf = (uintptr_t)&byte;
	request.aio_nbytes = 1;
	struct iocb *list[] = { &request };
	expect("requests submitted", 1, syscall(SYS_io_submit, context, 1, list));
}

// Takes the next event, which has this number.
__attribute__((unused)) static void reap(aio_context_t context, uint64_t number)
{
	struct io_event event;
	expect("events", 1, syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
	expect("number of an event", number, event.data);
	expect("result of an event", 0, event.res);
}

__attribute__((unused)) static void expect_nothing(aio_context_t context)
{
	struct io_event event;
	struct timespec at_once = { 0 };
	expect("events", 0, syscall(SYS_io_getevents, context, 0, 1, &event, &at_once));
}
#endif
