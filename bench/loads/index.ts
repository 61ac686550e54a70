// SPDX-License-Identifier: GPL-2.0-only
// All loads, in the order of the table.

import { files } from "./files.ts";
import type { Load } from "./load.ts";
import { mappings } from "./mappings.ts";
import { mem1g } from "./mem1g.ts";
import { mem64 } from "./mem64.ts";
import { small } from "./small.ts";

export const LOADS: readonly Load[] = [small, mem64, mem1g, mappings, files];
