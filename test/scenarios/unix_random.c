// SPDX-License-Identifier: GPL-2.0-only
// Unix sockets in states made at random (by a fixed seed), with all that waits in them.
// @skip-mode peer-ours CRIU 4.1.1 gives the descriptors of a half-read message once more
#define SEED 1
#include "unix_random.h"
