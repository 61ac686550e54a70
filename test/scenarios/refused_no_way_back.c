// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a program without C library and vdso none of whose instructions could lead back from the agent.
// @cflags -nostdlib -static -fno-stack-protector -fno-builtin
// @trigger file
// @expect refused NO_GADGETS
#define UNMAP_VDSO
#define ODD_CALLS
#include "no_libc.c"
