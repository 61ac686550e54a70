// SPDX-License-Identifier: GPL-2.0-only
// A mapped ring of a packet socket through which something has gone: where the kernel goes on in it is told to nobody.
// @expect refused PACKET_RING
#include "inet.h"
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_ll lo = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = if_nametoindex("lo"),
		.sll_halen = 6 };
	struct tpacket_req ring = { .tp_block_size = 4096, .tp_block_nr = 1, .tp_frame_size = 1024, .tp_frame_nr = 4 };
	int fd = must(socket(AF_PACKET, SOCK_DGRAM, 0));
	must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)));
	bind_to(fd, &lo);
	volatile struct tpacket_hdr *frame = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must_be(frame != MAP_FAILED);
	must(sendto(must(socket(AF_PACKET, SOCK_DGRAM, 0)), "frame", 6, 0, (struct sockaddr *)&lo, sizeof(lo)));
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	must_be(poll(&wait, 1, 60000) == 1);
	frame->tp_status = TP_STATUS_KERNEL;
	ready();
	wait_for_trigger();
	must_be(frame->tp_status == TP_STATUS_KERNEL);
	pass();
}
