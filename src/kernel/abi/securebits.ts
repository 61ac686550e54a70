// SPDX-License-Identifier: GPL-2.0-only
// Securebits of prctl(PR_SET_SECUREBITS).
// Source: linux/securebits.h.

export const SECUREBITS_DEFAULT = 0;
export const SECURE_NOROOT = 0;
export const SECBIT_NOROOT = 1;
export const SECURE_NOROOT_LOCKED = 1;
export const SECBIT_NOROOT_LOCKED = 2;
export const SECURE_NO_SETUID_FIXUP = 2;
export const SECURE_NO_SETUID_FIXUP_LOCKED = 3;
export const SECBIT_NO_SETUID_FIXUP = 4;
export const SECURE_KEEP_CAPS = 4;
export const SECURE_KEEP_CAPS_LOCKED = 5;
export const SECURE_NO_CAP_AMBIENT_RAISE = 6;
export const SECURE_NO_CAP_AMBIENT_RAISE_LOCKED = 7;
export const SECBIT_NO_SETUID_FIXUP_LOCKED = 8;
export const SECBIT_KEEP_CAPS = 16;
export const SECBIT_KEEP_CAPS_LOCKED = 32;
export const SECBIT_NO_CAP_AMBIENT_RAISE = 0x40;
export const SECURE_ALL_BITS = 0x55;
export const SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED = 0x80;
export const SECURE_ALL_LOCKS = 0xaa;
