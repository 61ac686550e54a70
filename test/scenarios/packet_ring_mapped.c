// SPDX-License-Identifier: GPL-2.0-only
// Mapped rings of packet sockets that nothing has gone through: of frames, for both directions, in a parent and its child; of blocks.
// @may-differ (proc/\d+/)?maps/.*/(inode|path) the sockets are others
#include "inet.h"
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { FRAME = 1024, BLOCK = 4096 };

static int child_part(const char *map, int stop)
{
	char byte;
	if (read(stop, &byte, 1) != 1)
		return 1;
	return !(((struct tpacket_hdr *)map)->tp_status & TP_STATUS_USER);
}

// One frame on the loopback device, of a protocol of experiments.
static void send_frame(int from, int device)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = device, .sll_halen = 6 };
	must(sendto(from, "frame", 6, 0, (struct sockaddr *)&to, sizeof(to)));
}

static void start(int fd, int device)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = device };
	bind_to(fd, &at);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int device = if_nametoindex("lo"), blocks_version = TPACKET_V3, stop[2], status;
	struct tpacket_req ring = { .tp_block_size = BLOCK, .tp_block_nr = 1, .tp_frame_size = FRAME, .tp_frame_nr = BLOCK / FRAME };
	struct tpacket_req3 large = { .tp_block_size = BLOCK, .tp_block_nr = 2, .tp_frame_size = FRAME,
		.tp_frame_nr = 2 * BLOCK / FRAME, .tp_retire_blk_tov = 1 };
	int sender = must(socket(AF_PACKET, SOCK_DGRAM, 0));
	int framed = must(socket(AF_PACKET, SOCK_DGRAM, 0)), blocked = must(socket(AF_PACKET, SOCK_DGRAM, 0));
	must(setsockopt(framed, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)));
	must(setsockopt(framed, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring)));
	set_int(blocked, SOL_PACKET, PACKET_VERSION, blocks_version);
	must(setsockopt(blocked, SOL_PACKET, PACKET_RX_RING, &large, sizeof(large)));
	char *frames = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, framed, 0);
	char *blocks = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_LOCKED, blocked, 0);
	must_be(frames != MAP_FAILED && blocks != MAP_FAILED);
	must(pipe(stop));
	pid_t child = must(fork());
	if (child == 0)
		_exit(child_part(frames, stop[0]));
	ready();
	wait_for_trigger();
	start(framed, device);
	start(blocked, device);
	send_frame(sender, device);
	struct pollfd wait[2] = { { .fd = framed, .events = POLLIN }, { .fd = blocked, .events = POLLIN } };
	for (int i = 0; i < 2; i++)
		must_be(poll(&wait[i], 1, 60000) == 1);
	must_be(((struct tpacket_hdr *)frames)->tp_status & TP_STATUS_USER);
	must_be(((struct tpacket_block_desc *)blocks)->hdr.bh1.block_status & TP_STATUS_USER);
	// The ring for sending: its first frame.
	struct tpacket_hdr *out = (struct tpacket_hdr *)(frames + BLOCK);
	memcpy((char *)out + TPACKET_HDRLEN - sizeof(struct sockaddr_ll), "out", 4);
	out->tp_len = 4;
	out->tp_status = TP_STATUS_SEND_REQUEST;
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = device, .sll_halen = 6 };
	must_be(sendto(framed, NULL, 0, 0, (struct sockaddr *)&to, sizeof(to)) == 4);
	must(write(stop[1], "x", 1));
	must_be(waitpid(child, &status, 0) == child);
	expect("status of the child, which sees the same ring", 0, status);
	pass();
}
