/* SPDX-License-Identifier: GPL-2.0-only */
/* Many options of a socket at once: one by one the calls from JavaScript take longer than the system calls. */
#include "host.h"

#include <errno.h>
#include <sys/socket.h>

/* Reads the options of a list; each tells its result and length. */
int64_t cr_sockopts(int32_t fd, struct cr_sockopt *list, uint64_t nr, uint8_t *values)
{
	for (uint64_t i = 0; i < nr; i++) {
		socklen_t length = list[i].capacity;

		list[i].result = getsockopt(fd, list[i].level, list[i].name, values + list[i].offset, &length) < 0 ? -errno : 0;
		list[i].length = length;
	}
	return 0;
}
