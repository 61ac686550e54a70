// SPDX-License-Identifier: GPL-2.0-only
// Packet sockets: bound to a device, promiscuous, with options, with a ring, of the obsolete type; packets of the device arrive.
#include "inet.h"
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_ll lo = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = if_nametoindex("lo") };
	struct packet_mreq all = { .mr_ifindex = lo.sll_ifindex, .mr_type = PACKET_MR_PROMISC };
	struct tpacket_req ring = { .tp_block_size = 4096, .tp_block_nr = 1, .tp_frame_size = 1024, .tp_frame_nr = 4 };
	struct sockaddr old = { .sa_family = AF_PACKET, .sa_data = "lo" };
	int packet = must(socket(AF_PACKET, SOCK_DGRAM, 0)), ringed = must(socket(AF_PACKET, SOCK_RAW, 0));
	int obsolete = must(socket(AF_PACKET, SOCK_PACKET, htons(0x88b6))), idle = must(socket(AF_PACKET, SOCK_PACKET, 0));
	set_int(packet, SOL_PACKET, PACKET_AUXDATA, 1);
	must(setsockopt(packet, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)));
	bind_to(packet, &lo);
	set_int(ringed, SOL_PACKET, PACKET_LOSS, 1);
	must(setsockopt(ringed, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)));
	must(setsockopt(ringed, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring)));
	must(bind(obsolete, &old, sizeof(old)));
	ready();
	wait_for_trigger();
	struct sockaddr name = { 0 };
	own_name(obsolete, &name);
	expect("family of the obsolete one", AF_PACKET, name.sa_family);
	expect_text("its device", "lo", name.sa_data);
	own_name(idle, &name);
	expect_text("no device", "", name.sa_data);
	expect("PACKET_AUXDATA", 1, get_int(packet, SOL_PACKET, PACKET_AUXDATA));
	expect("PACKET_LOSS", 1, get_int(ringed, SOL_PACKET, PACKET_LOSS));
	must(setsockopt(packet, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &all, sizeof(all)));
	// What others send meanwhile arrives too.
	char mine[64], text[64] = "";
	int n = snprintf(mine, sizeof(mine), "%x", own_address(1, 0).sin_addr.s_addr) + 1;
	lo.sll_halen = ETH_ALEN;
	must(sendto(packet, mine, n, 0, (struct sockaddr *)&lo, sizeof(lo)));
	while (strcmp(mine, text))
		must(recv(packet, text, sizeof(text), 0));
	void *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ringed, 0);
	must_be(map != MAP_FAILED);
	pass();
}
