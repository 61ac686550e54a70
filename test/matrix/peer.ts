// SPDX-License-Identifier: GPL-2.0-only
// The peer's crit as a reader of our images.

const readerScript = `
import sys, os, json, pycriu
for line in sys.stdin:
    folder = line.rstrip("\\n")
    bad = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".img") or name.startswith("pages-") or name == "cgroup-dummy.img":
            continue
        try:
            with open(os.path.join(folder, name), "rb") as f:
                json.dumps(pycriu.images.load(f, True), default=str)
        except Exception as error:
            bad.append("%s: %s: %s" % (name, type(error).__name__, error))
    print(json.dumps(bad), flush=True)
`;

/** The decoder behind the peer's \`crit decode\`, kept running since each start of Python costs more than the decoding. */
export class CritReader {
	private readonly child: Bun.Subprocess<"pipe", "pipe", "inherit">;
	private readonly answers: ((bad: string[]) => void)[] = [];

	constructor(peer: { pythonPath: string }) {
		this.child = Bun.spawn(["/usr/bin/python3", "-c", readerScript], {
			stdin: "pipe",
			stdout: "pipe",
			stderr: "inherit",
			env: { ...process.env, PYTHONPATH: peer.pythonPath },
		});
		void this.listen();
	}

	private async listen(): Promise<void> {
		let rest = "";
		const decoder = new TextDecoder();
		for await (const chunk of this.child.stdout) {
			const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
			rest = lines.pop() ?? "";
			for (const line of lines) this.answers.shift()?.(JSON.parse(line) as string[]);
		}
		for (const answer of this.answers.splice(0)) answer(["the reader of the peer's crit ended"]);
	}

	/** Decodes every image of a folder; gives one line for each that couldn't be read. */
	read(folder: string): Promise<string[]> {
		return new Promise((done) => {
			this.answers.push(done);
			this.child.stdin.write(`${folder}\n`);
			void this.child.stdin.flush();
		});
	}

	/** Ends the reader. */
	async close(): Promise<void> {
		await this.child.stdin.end();
		await this.child.exited;
	}
}
