// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { freeAfterwards } from "../../src/pages/dedup.ts";

test("pages that can't be freed afterwards are no failure", () => {
	const asked: string[] = [];
	freeAfterwards("the images", () => {
		asked.push("first");
		throw new Error("operation not supported");
	});
	freeAfterwards("the images", () => {
		asked.push("second");
		return 2n;
	});
	expect(asked).toEqual(["first", "second"]);
});
