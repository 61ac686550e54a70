// SPDX-License-Identifier: GPL-2.0-only
// A program without C library that has unmapped its vdso: only its own few instructions are left for the way in and out.
// @cflags -nostdlib -static -fno-stack-protector -fno-builtin
// @trigger file
#define UNMAP_VDSO
#include "no_libc.c"
