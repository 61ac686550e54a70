// SPDX-License-Identifier: GPL-2.0-only
// Terminal settings as the kernel keeps them.
// Source: asm-generic/termbits.h, asm-generic/termios.h.

import { defineStruct, type StructValue } from "./struct.ts";

/** Control characters in c_cc of TCGETS. */
export const NCCS = 19;

/** Settings of TCGETS and TIOCGLCKTRMIOS. */
export const Termios = defineStruct("termios", 36, {
	c_iflag: ["u32", 0],
	c_oflag: ["u32", 4],
	c_cflag: ["u32", 8],
	c_lflag: ["u32", 12],
	c_line: ["u8", 16],
	c_cc: ["bytes", 17, 19],
});
export type Termios = StructValue<typeof Termios>;

/** Settings of TCGETS2: with exact speeds. */
export const Termios2 = defineStruct("termios2", 44, {
	c_iflag: ["u32", 0],
	c_oflag: ["u32", 4],
	c_cflag: ["u32", 8],
	c_lflag: ["u32", 12],
	c_line: ["u8", 16],
	c_cc: ["bytes", 17, 19],
	c_ispeed: ["u32", 36],
	c_ospeed: ["u32", 40],
});
export type Termios2 = StructValue<typeof Termios2>;

/** Size of TIOCGWINSZ. */
export const Winsize = defineStruct("winsize", 8, {
	ws_row: ["u16", 0],
	ws_col: ["u16", 2],
	ws_xpixel: ["u16", 4],
	ws_ypixel: ["u16", 6],
});
export type Winsize = StructValue<typeof Winsize>;

// c_iflag
export const IXON = 0x400;
export const IXOFF = 0x1000;
// c_oflag
export const OPOST = 1;
// c_lflag
export const ISIG = 1;
export const ICANON = 2;
export const ECHO = 8;
export const IEXTEN = 0x8000;
export const EXTPROC = 0x10000;
// Indices of c_cc
export const VERASE = 2;
export const VKILL = 3;
export const VEOF = 4;
export const VTIME = 5;
export const VMIN = 6;
export const VSTOP = 9;
export const VREPRINT = 12;
export const VWERASE = 14;
export const VLNEXT = 15;
/** The line discipline of TIOCGETD that all terminals begin with. */
export const N_TTY = 0;
