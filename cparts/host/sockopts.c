/* SPDX-License-Identifier: GPL-2.0-only */
/* Many options of a socket at once: one by one the calls from JavaScript take longer than the system calls. */
#include "host.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Reads the options of a list; each tells its result and length. Gives how many of them failed or differ from `usual`, which
 * is laid out like the values. */
int64_t cr_sockopts(int32_t fd, struct cr_sockopt *list, uint64_t nr, uint8_t *values, const uint8_t *usual)
{
	int64_t unusual = 0;

	for (uint64_t i = 0; i < nr; i++) {
		struct cr_sockopt *one = &list[i];
		socklen_t length = one->capacity;

		one->result = getsockopt(fd, one->level, one->name, values + one->offset, &length) < 0 ? -errno : 0;
		one->length = length;
		if (one->result == -ENOPROTOOPT || one->result == -EOPNOTSUPP || one->result == -EINVAL)
			continue;
		if (one->result < 0 || memcmp(values + one->offset, usual + one->offset, one->capacity) != 0)
			unusual++;
	}
	return unusual;
}
