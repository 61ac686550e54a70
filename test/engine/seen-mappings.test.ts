// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { hasOtherFlags } from "../../src/engine/seen-mappings.ts";
import { parseSmaps } from "../../src/kernel/procfs/smaps.ts";

const smaps = (...vmas: readonly (readonly [range: string, flags: string])[]) =>
	parseSmaps(
		Buffer.from(
			vmas.map(([range, flags]) => `${range} rw-p 00000000 00:00 0 \nRss: 4 kB\nVmFlags: ${flags} \n`).join(""),
			"latin1",
		),
	);

test("other advice on a mapping that's still there is noticed, and no more than that", () => {
	const before = smaps(["1000-5000", "rd wr mr mw me ac"], ["8000-9000", "rd wr mr mw me ac uw"]);
	const same = smaps(["1000-6000", "rd wr mr mw me ac sd uw"], ["8000-9000", "rd wr mr mw me ac"]);
	const moved = smaps(["2000-5000", "rd wr mr mw me dc ac"]);
	const other = smaps(["1000-5000", "rd wr mr mw me ac"], ["8000-9000", "rd wr mr mw me dc ac"]);
	expect([same, moved, other].map((after) => hasOtherFlags(before, after))).toEqual([false, false, true]);
});
