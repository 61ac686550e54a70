// SPDX-License-Identifier: GPL-2.0-only
// Real programs of several processes or threads. In the middle they wait for the file `finish`.

import type { RealProgram } from "./program.ts";

/** For Node and Bun alike. */
const workers = `const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");
const fs = require("node:fs");
function compute(n, rounds) {
	let x = n;
	for (let i = 0; i < rounds; i++) x = (Math.imul(x, 1103515245) + 12345 + i) >>> 1;
	return x;
}
if (isMainThread) {
	const results = [];
	let left = 3;
	const ended = (n) => (value) => {
		if (value === "begun") {
			if (!fs.existsSync("begun")) fs.writeFileSync("begun", "");
			return;
		}
		results[n] = value;
		if (--left === 0) fs.writeFileSync("result", JSON.stringify([results, ticks > 0]));
	};
	let ticks = 0;
	const timer = setInterval(() => {
		ticks++;
		if (left === 0) clearInterval(timer);
	}, 5);
	for (let n = 0; n < 3; n++) new Worker(__filename, { workerData: n }).on("message", ended(n));
} else {
	const parts = [];
	for (let part = 0; part < 20; part++) {
		parts.push(compute(workerData + part, 1_000_000));
		while (part === 10 && !fs.existsSync("finish")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
		if (part === 3) parentPort.postMessage("begun");
	}
	parentPort.postMessage(parts.join(" "));
}
`;

const goroutines = `package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

func main() {
	const n = 1000
	var mutex sync.Mutex
	var all sync.WaitGroup
	sum := uint32(0)
	turns := make(chan uint32)
	gate := make(chan bool)
	go func() {
		for {
			if _, err := os.Stat("finish"); err == nil {
				close(gate)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	for i := 0; i < n; i++ {
		all.Add(1)
		go func(x uint32) {
			defer all.Done()
			for round := 0; round < 40; round++ {
				for k := 0; k < 2000; k++ {
					x = x*1103515245 + 12345
				}
				if round == 20 {
					time.Sleep(time.Millisecond)
				} else if round == 30 && x%2 == 0 {
					<-gate
				}
				turns <- x
			}
			mutex.Lock()
			sum += x
			mutex.Unlock()
		}(uint32(i))
	}
	total := uint32(0)
	for i := 0; i < n*40; i++ {
		total += <-turns
		if i == n {
			os.WriteFile("begun", nil, 0644)
		}
	}
	all.Wait()
	os.WriteFile("result", []byte(fmt.Sprint(sum, total)), 0644)
}
`;

const java = `import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;

public class Work {
	static long compute(long x) {
		for (int i = 0; i < 12_000_000; i++) x = (x * 1103515245 + 12345 + i) & 0x7fffffffL;
		return x;
	}

	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(4);
		List<Future<Long>> parts = new ArrayList<>();
		for (int i = 0; i < 24; i++) {
			long n = i;
			parts.add(pool.submit(() -> {
				while (n > 20 && !Files.exists(Path.of("finish"))) Thread.sleep(10);
				return compute(n);
			}));
		}
		StringBuilder result = new StringBuilder();
		for (Future<Long> part : parts) {
			result.append(part.get()).append(' ');
			if (!Files.exists(Path.of("begun"))) Files.createFile(Path.of("begun"));
		}
		pool.shutdown();
		Files.writeString(Path.of("result"), result);
	}
}
`;

const python = `import multiprocessing, os, threading, time

def compute(x):
    while x % 100 == 23 and not os.path.exists("finish"):
        time.sleep(0.01)
    for i in range(150000):
        x = (x * 1103515245 + 12345 + i) % 2**31
    return x

def first(n):
    value = compute(n)
    if n == 2:
        open("begun", "w").close()
    return value

if __name__ == "__main__":
    sums, lock = {}, threading.Lock()
    def run(n):
        value = compute(n)
        with lock:
            sums[n] = value
    with multiprocessing.Pool(3) as pool:
        answer = pool.map_async(first, range(24), chunksize=1)
        threads = [threading.Thread(target=run, args=(n,)) for n in range(120, 124)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        values = answer.get()
    open("result", "w").write(repr((values, sorted(sums.items()))))
`;

/** A server with its clients, each query by a process of its own and a session that lasts. */
const postgresql = `as="setpriv --reuid=postgres --regid=postgres --clear-groups"
$as postgres -D data -k "$PWD" -c listen_addresses= -c fsync=off >server.log 2>&1 &
server=$!
ask() { psql -qAtX -h "$PWD" -U postgres postgres "$@"; }
until ask -c 'select 1' >/dev/null 2>&1; do
	kill -0 $server || exit 1
	sleep 0.1
done
ask -c 'create table t(a int, b text)'
(echo 'begin;'; echo 'insert into t values (0, $$session$$);'; while [ ! -e ended ]; do sleep 0.05; done; echo 'commit;') | ask &
session=$!
for i in $(seq 1 15); do
	ask -c "insert into t select $i, md5((x * $i)::text) from generate_series(1, 500) x"
	[ $i != 5 ] || : >begun
	while [ $i = 10 ] && [ ! -e finish ]; do sleep 0.05; done
done
: >ended
wait $session
ask -c 'select count(*), sum(a), sum(length(b)) from t' >answer
kill -INT $server
wait $server && mv answer result
`;

/** A terminal multiplexer without a client: what was typed into its panes before is there afterwards. */
const panes = `export TMUX_TMPDIR="$PWD" LC_ALL=C.UTF-8
tmux -f /dev/null -D </dev/null >server.log 2>&1 &
server=$!
until tmux new-session -d -x 80 -y 24 'sh' 2>/dev/null; do
	kill -0 $server || exit 1
	sleep 0.05
done
tmux split-window -h 'bash --norc --noprofile'
tmux new-window 'cat'
tmux send-keys -t 0.0 'a=1; : >half' Enter
until [ -e half ]; do sleep 0.05; done
tmux send-keys -t 0.1 'b=2; : >begun' Enter
tmux send-keys -t 1.0 'a line that is '
while [ ! -e finish ]; do sleep 0.05; done
tmux send-keys -t 0.0 'b=3; echo $a$b >first' Enter
tmux send-keys -t 0.1 'a=4; stty size; echo $a$b >second' Enter
tmux send-keys -t 1.0 'whole' Enter
until [ -s first ] && [ -s second ] && [ "$(tmux capture-pane -p -t 1.0 | grep -c whole)" = 2 ]; do sleep 0.05; done
(cat first second; tmux list-panes -s -F '#{pane_width}x#{pane_height} #{pane_current_command}') >answer
tmux capture-pane -p -t 1.0 | grep whole >>answer
tmux kill-server
wait $server # gives 1: it has never had a terminal
mv answer result
`;

/** A message bus with two that listen and one that sends, each message by a new connection. */
const bus = `dbus-daemon --session --nopidfile --address="unix:path=$PWD/bus" --nofork >bus.log 2>&1 &
server=$!
export DBUS_SESSION_BUS_ADDRESS="unix:path=$PWD/bus"
until dbus-send --session --dest=org.freedesktop.DBus --print-reply / org.freedesktop.DBus.GetId >/dev/null 2>&1; do
	kill -0 $server || exit 1
	sleep 0.05
done
for i in 1 2; do
	stdbuf -oL dbus-monitor --session "type='signal',interface='a.b'" >seen$i &
	until grep -q NameAcquired seen$i; do sleep 0.05; done
done
i=0
while [ ! -e finish ]; do
	i=$((i + 1))
	dbus-send --session --type=signal / a.b.c int32:$i
	[ $i != 10 ] || : >begun
	sleep 0.01
done
until grep -q "int32 $i$" seen1 && grep -q "int32 $i$" seen2; do sleep 0.05; done
seq 1 $i >wanted
for n in 1 2; do sed -n 's/^ *int32 //p' seen$n | cmp - wanted || exit 1; done
kill $server
wait
echo whole >result
`;

export const trees: readonly RealProgram[] = [
	{
		name: "make -j4 in the middle of a build",
		needs: "make",
		command: "make -sj4",
		files: {
			Makefile: `N = 1 2 3 4 5 6 7 8 9 10 11 12
result: $(N:%=part%)
\tcat $^ >whole && mv whole $@
part%:
\ttest $* -lt 11 || while ! test -e finish; do sleep 0.05; done
\tawk 'BEGIN { for (i = 0; i < 400000; i++) s = (s * 31 + i + $*) % 1000003; print s }' >$@
`,
		},
		begun: "part6",
		waits: true,
	},
	{
		name: "xz with two threads",
		needs: "xz",
		command: "xz -T2 -6 --block-size=512KiB -c input >result",
		prepare: "seq 1 400000 >input",
		cycles: 1,
	},
	{
		name: "python3 with threads and a pool of processes",
		needs: "/usr/bin/python3",
		command: "/usr/bin/python3 work.py",
		files: { "work.py": python },
		begun: "begun",
		waits: true,
	},
	{
		name: "node with worker threads",
		needs: "node",
		command: "node work.cjs",
		files: { "work.cjs": workers },
		begun: "begun",
		waits: true,
	},
	{
		name: "bun with worker threads",
		needs: process.execPath,
		command: `${process.execPath} work.cjs`,
		files: { "work.cjs": workers },
		begun: "begun",
		waits: true,
	},
	{
		name: "java with a pool of threads",
		needs: "java",
		command: "java Work.java",
		files: { "Work.java": java },
		begun: "begun",
		waits: true,
	},
	{
		name: "a thousand goroutines",
		needs: "go",
		command: "./work",
		files: { "work.go": goroutines },
		prepare: 'GO111MODULE=off GOCACHE="$PWD/cache" go build -o work work.go',
		begun: "begun",
		waits: true,
	},
	{
		name: "PostgreSQL with sessions of clients",
		needs: "/usr/lib/postgresql/15/bin/postgres",
		command: "env PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin sh serve.sh",
		files: { "serve.sh": postgresql },
		prepare:
			"mkdir data && chown postgres data && setpriv --reuid=postgres --regid=postgres --clear-groups /usr/lib/postgresql/15/bin/initdb -N -D data -A trust >initdb.log && chmod 777 .",
		begun: "begun",
		waits: true,
		result: "7501|60000|240007\n",
	},
	{
		name: "tmux with panes",
		needs: "tmux",
		command: "sh panes.sh",
		files: { "panes.sh": panes },
		begun: "begun",
		waits: true,
		result: "13\n42\n40x24 sh\n39x24 bash\n80x24 cat\na line that is whole\na line that is whole\n",
	},
	{
		name: "dbus-daemon with listeners and a stream of senders",
		needs: "dbus-daemon",
		command: "sh bus.sh",
		files: { "bus.sh": bus },
		begun: "begun",
		waits: true,
		result: "whole\n",
	},
];
