// SPDX-License-Identifier: GPL-2.0-only
// Types of the files that embedded.ts imports with { type: "file" }: each import gives a path.

declare module "*.so" {
	const path: string;
	export default path;
}

declare module "*.bin" {
	const path: string;
	export default path;
}
