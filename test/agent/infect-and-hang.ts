// SPDX-License-Identifier: GPL-2.0-only
// `bun infect-and-hang.ts PID with|without END`: brings an agent into a process, says so and then ends as told: hang (until
// it is killed), throw, exit.

import { Program } from "../../src/agent/program.ts";
import * as nr from "../../src/kernel/abi/syscalls.x86_64.ts";
import { freezeOne } from "../frozen.ts";
import { infect } from "./patient.ts";

const [pid, restorer, end] = process.argv.slice(2);
const agent = infect(freezeOne(Number(pid), 0), restorer === "with");
const program = new Program();
program.syscall("pid", nr.SYS_getpid, [], { check: { equal: Number(pid) } });
agent.programs.run(program);
console.log("infected");
if (end === "throw") throw new Error("as wanted");
if (end === "exit") process.exit(3);
setInterval(() => undefined, 1000);
