// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a socket (AF_UNIX), and the program goes on unharmed.
// @expect refused SOCKET
#include "scenario.h"
#include <sys/socket.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	ready();
	wait_for_trigger();
	int type = 0;
	socklen_t n = sizeof(type);
	must(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n));
	expect("type", SOCK_STREAM, type);
	pass();
}
