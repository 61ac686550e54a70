// SPDX-License-Identifier: GPL-2.0-only
// The peer's crit as a reader of images, ours and its own.

const readerScript = `
import sys, os, json, hashlib, pycriu
def digest(path, pretty):
    with open(path, "rb") as f:
        image = pycriu.images.load(f, pretty)
    return hashlib.sha256(json.dumps(image, indent=4 if pretty else None).encode()).hexdigest()
older = "compat_nr_pages" not in pycriu.images.pb.pagemap_entry.DESCRIPTOR.fields_by_name
for line in sys.stdin:
    folder = line.rstrip("\\n")
    bad, digests = [], {}
    for name in sorted(os.listdir(folder)):
        if not (name.endswith(".img") or name == "stats-dump") or name.startswith("pages-") or name == "cgroup-dummy.img":
            continue
        try:
            path = os.path.join(folder, name)
            digests[name] = [digest(path, False), digest(path, True)]
        except Exception as error:
            bad.append("%s: %s: %s" % (name, type(error).__name__, error))
    print(json.dumps({"bad": bad, "digests": digests, "older": older}), flush=True)
`;

/** What the peer's crit makes of the images of a folder. */
export interface CritAnswer {
	/** One line for each image that couldn't be read. */
	bad: string[];
	/** SHA-256 of the JSON of each image, plain and pretty. */
	digests: Record<string, [plain: string, pretty: string]>;
	/** The peer is older than the images' latest fields. */
	older: boolean;
}

/** The decoder behind the peer's \`crit decode\`, kept running since each start of Python costs more than the decoding. */
export class CritReader {
	private readonly child: Bun.Subprocess<"pipe", "pipe", "inherit">;
	private readonly answers: ((answer: CritAnswer) => void)[] = [];

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
			for (const line of lines) this.answers.shift()?.(JSON.parse(line) as CritAnswer);
		}
		const ended = { bad: ["the reader of the peer's crit ended"], digests: {}, older: false };
		for (const answer of this.answers.splice(0)) answer(ended);
	}

	/** Decodes every image of a folder. */
	read(folder: string): Promise<CritAnswer> {
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
