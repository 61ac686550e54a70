// SPDX-License-Identifier: GPL-2.0-only
// All loads, in the order of the table.

import { epoll5000 } from "./epoll5000.ts";
import { fds10000 } from "./fds10000.ts";
import { files } from "./files.ts";
import { inet } from "./inet.ts";
import { lazy1g } from "./lazy1g.ts";
import { lazy1m } from "./lazy1m.ts";
import type { Load } from "./load.ts";
import { mapped1g } from "./mapped1g.ts";
import { mappings } from "./mappings.ts";
import { mem1g } from "./mem1g.ts";
import { mem64 } from "./mem64.ts";
import { pipes } from "./pipes.ts";
import { processes200 } from "./processes200.ts";
import { processes1000 } from "./processes1000.ts";
import { shared } from "./shared.ts";
import { small } from "./small.ts";
import { threads200 } from "./threads200.ts";
import { threads1000 } from "./threads1000.ts";
import { unix } from "./unix.ts";

export const LOADS: readonly Load[] = [
	small,
	mem64,
	mem1g,
	mapped1g,
	lazy1m,
	lazy1g,
	mappings,
	files,
	pipes,
	fds10000,
	shared,
	epoll5000,
	unix,
	inet,
	threads200,
	threads1000,
	processes200,
	processes1000,
];
