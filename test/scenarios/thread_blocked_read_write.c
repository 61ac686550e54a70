// SPDX-License-Identifier: GPL-2.0-only
// Threads blocked in read of an empty pipe, readv, write to a full pipe and splice: each call goes on and gives all its bytes.
// @cflags -pthread
#include "threads.h"
#include <sys/uio.h>

static int empty[2], empty_too[2], full[2], from[2], into[2];
static unsigned char block[65536], bytes[3000];

static void *run(void *arg)
{
	unsigned char buffer[64], more[64];
	struct iovec parts[2] = { { buffer, 3 }, { more, 61 } };
	arrive();
	switch ((long)arg) {
	case 0:
		expect("result of the read", 11, read(empty[0], buffer, sizeof(buffer)));
		expect_bytes("what was read", "hello there", buffer, 11);
		break;
	case 1:
		expect("result of the readv", 9, readv(empty_too[0], parts, 2));
		expect_bytes("first part", "abc", buffer, 3);
		expect_bytes("second part", "defghi", more, 6);
		break;
	case 2:
		expect("result of the write", sizeof(bytes), write(full[1], bytes, sizeof(bytes)));
		break;
	default:
		expect("result of the splice", 6, splice(from[0], NULL, into[1], NULL, 1000, 0));
	}
	return NULL;
}

static void read_all(int fd, unsigned char *to, size_t size)
{
	for (size_t have = 0; have < size;)
		have += must(read(fd, to + have, size - have));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(empty));
	must(pipe(empty_too));
	must(pipe(full));
	must(pipe(from));
	must(pipe(into));
	must(fcntl(full[1], F_SETPIPE_SZ, sizeof(block)));
	fill(block, sizeof(block), 5);
	fill(bytes, sizeof(bytes), 6);
	must_be(write(full[1], block, sizeof(block)) == sizeof(block));
	pthread_t threads[4];
	for (long i = 0; i < 4; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(4);
	must_be(write(empty[1], "hello there", 11) == 11);
	must_be(write(empty_too[1], "abcdefghi", 9) == 9);
	must_be(write(from[1], "splice", 6) == 6);
	read_all(full[0], block, sizeof(block));
	expect_fill("the full pipe's data", block, sizeof(block), 5);
	read_all(full[0], block, sizeof(bytes));
	expect_fill("the blocked write's data", block, sizeof(bytes), 6);
	read_all(into[0], block, 6);
	expect_bytes("what was spliced", "splice", block, 6);
	for (long i = 0; i < 4; i++)
		join_thread(threads[i]);
	pass();
}
