// SPDX-License-Identifier: GPL-2.0-only
// Native AIO: contexts that are new, used and empty, with unread events, with events around the end of the ring, and a ring of
// several pages. They keep their numbers, their events and their room.
#include "aio.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(memfd_create("nothing", 0));
	aio_context_t fresh = new_context(1), used = new_context(4), unread = new_context(4), around = new_context(20);
	aio_context_t large = new_context(1000), gone = new_context(1);
	must(syscall(SYS_io_destroy, gone));
	for (int i = 0; i < 40; i++) {
		submit(used, fd, i);
		reap(used, i);
	}
	for (int i = 0; i < 7; i++)
		submit(unread, fd, i);
	reap(unread, 0);
	struct ring_head *ring = (struct ring_head *)around;
	unsigned places = ring->nr;
	for (unsigned i = 0; i < places - 5; i++) {
		submit(around, fd, i);
		reap(around, i);
	}
	for (int i = 0; i < 15; i++)
		submit(around, fd, i);
	must_be(ring->tail < ring->head);
	for (int i = 0; i < 1500; i++) {
		submit(large, fd, i);
		if (i >= 200)
			reap(large, i - 200);
	}
	ready();
	wait_for_trigger();
	expect("places of a ring", places, ring->nr);
	expect_nothing(fresh);
	expect_nothing(used);
	for (int i = 1; i < 7; i++)
		reap(unread, i);
	expect_nothing(unread);
	for (int i = 0; i < 15; i++)
		reap(around, i);
	expect_nothing(around);
	for (int i = 0; i < 200; i++)
		reap(large, 1300 + i);
	expect_nothing(large);
	aio_context_t all[] = { fresh, used, unread, around, large };
	for (int k = 0; k < 5; k++) {
		for (int i = 0; i < 300; i++) {
			submit(all[k], fd, i);
			submit(all[k], fd, 1000 + i);
			reap(all[k], i);
			reap(all[k], 1000 + i);
		}
		must(syscall(SYS_io_destroy, all[k]));
	}
	expect("a context that is gone", -1, syscall(SYS_io_destroy, fresh));
	pass();
}
