/* SPDX-License-Identifier: GPL-2.0-only */
/* What the build's last stage (scripts/build/pack.ts) writes into the entry code. */
#pragma once

#define CR_NEEDED_GLIBC "GLIBC_2.34"

#define CR_PACK_LIBRARIES 8

struct cr_pack_library {
	char name[32];
	unsigned long bytes; /* address */
	unsigned long size;
};

/* Addresses in the finished executable, which is linked to fixed ones. */
struct cr_pack {
	unsigned long headers; /* copy of the program headers, with PT_INTERP still there, for ld.so */
	unsigned long header_count;
	unsigned long entry; /* where ld.so goes when it has loaded everything */
	unsigned long loader; /* ld.so, page by page as in memory */
	unsigned long loader_size;
	unsigned long version; /* what --version prints */
	unsigned long version_size; /* 0: that is left to the program */
	unsigned long library_count;
	struct cr_pack_library libraries[CR_PACK_LIBRARIES];
};

extern const struct cr_pack cr_pack;
