// SPDX-License-Identifier: GPL-2.0-only
// The licences of what dist/criu holds beside our own code, as a text that has to go along with it.

import manifest from "../package.json" with { type: "json" };

interface Part {
	name: string;
	version: string;
	licence: string;
	where: string;
	/** What the licence asks for beyond its text. */
	note?: string;
}

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

function parts(glibc: string | undefined): Part[] {
	const all: Part[] = [
		{
			name: "Bun, the JavaScript runtime",
			version: Bun.version,
			licence: "MIT; Copyright Oven and the contributors to Bun",
			where: "https://github.com/oven-sh/bun, with the list of what it is made of in its file LICENSE.md",
			note:
				"It holds JavaScriptCore and WebKit's WTF under the LGPL, version 2 (https://github.com/oven-sh/WebKit). To use another\n" +
				"build of them, build Bun with it (its documentation says how) and then criu with that Bun: npm run build.",
		},
		{
			name: "protobuf-es (@bufbuild/protobuf)",
			version: manifest.dependencies["@bufbuild/protobuf"],
			licence: "Apache-2.0 and BSD-3-Clause; Copyright Buf Technologies, Inc. and Google Inc.",
			where: "https://github.com/bufbuild/protobuf-es",
		},
	];
	if (glibc === undefined) return all;
	return [
		{
			name: "the GNU C Library",
			version: glibc,
			licence: "LGPL-2.1-or-later; Copyright the Free Software Foundation, Inc. and others",
			where: "https://sources.debian.org/src/glibc/, the version of the package in brackets",
			note:
				"Files: ld-linux-x86-64.so.2, libc.so.6, libm.so.6, libpthread.so.0, libdl.so.2. In the first one, in memory, one system\n" +
				"call (openat) is replaced by a call of ours, see scripts/build/pack.ts; the others are unchanged. They are used only\n" +
				"where the host has no glibc of 2.34 or later. To use another build of it: install that, then npm run build.",
		},
		...all,
	];
}

/** The text; `glibc` is the version that the executable holds, undefined when it holds none. */
export function writeNotices(glibc: string | undefined): string {
	const sections = parts(glibc).map(
		({ name, version, licence, where, note }) =>
			`${name}, ${version}\n  Licence: ${licence}\n  Source:  ${where}\n${note === undefined ? "" : `${note.replace(/^/gm, "  ")}\n`}`,
	);
	return (
		`criu ${manifest.version} is free software under the GNU General Public License, version 2 only. Its executable also holds:\n\n` +
		`${sections.join("\n")}\n` +
		"The texts of the GPL and the LGPL are in the folder LICENSES of criu's sources, on Debian in\n" +
		`/usr/share/common-licenses. The MIT licence says:\n\n${MIT}\n`
	);
}
