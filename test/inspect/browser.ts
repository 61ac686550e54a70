// SPDX-License-Identifier: GPL-2.0-only
// A headless Chromium to look at pages with, over its debugging protocol.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = "/usr/bin/chromium";

/** Why there is no browser here; undefined when there is one. */
export function lackOfBrowser(): string | undefined {
	if (existsSync(PROGRAM)) return undefined;
	return `no ${PROGRAM}: sh scripts/setup browser installs it (100 MB, a few minutes: too much for every run of the tests)`;
}

export class Browser implements AsyncDisposable {
	#next = 0;
	readonly #waiting = new Map<number, (answer: unknown) => void>();
	/** What the page tried to load, besides itself. */
	readonly requests: string[] = [];

	private constructor(
		private readonly child: Bun.Subprocess,
		private readonly profile: string,
		private readonly socket: WebSocket,
	) {
		socket.addEventListener("message", ({ data }) => {
			const { id, result, method, params } = JSON.parse(String(data));
			if (id !== undefined) this.#waiting.get(id)?.(result);
			if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
		});
	}

	/** Opens a page of a file. */
	static async open(path: string): Promise<Browser> {
		const profile = mkdtempSync(join(tmpdir(), "inspect-browser-"));
		const args = [
			"--headless",
			"--no-sandbox",
			"--disable-gpu",
			"--disable-background-networking",
			"--remote-debugging-port=0",
			`--user-data-dir=${profile}`,
		];
		const child = Bun.spawn([PROGRAM, ...args, "about:blank"], {
			env: { ...process.env, TMPDIR: profile }, // it leaves folders there
			stdin: "ignore",
			stdout: "ignore",
			stderr: "pipe",
		});
		let said = "";
		for await (const chunk of child.stderr) {
			said += new TextDecoder().decode(chunk);
			if (/ws:\/\/\S+\n/.test(said)) break;
		}
		const port = /ws:\/\/[^:]+:(\d+)\//.exec(said)?.[1];
		const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
			type: string;
			webSocketDebuggerUrl: string;
		}[];
		const socket = new WebSocket(targets.find(({ type }) => type === "page")?.webSocketDebuggerUrl ?? "");
		await new Promise((done) => socket.addEventListener("open", done));
		const browser = new Browser(child, profile, socket);
		await browser.call("Network.enable", {});
		await browser.call("Page.enable", {});
		await browser.call("Page.navigate", { url: `file://${path}` });
		while ((await browser.evaluate("document.readyState + location.protocol")) !== "completefile:") await Bun.sleep(20);
		return browser;
	}

	/** A call of the protocol. */
	call(method: string, params: object): Promise<unknown> {
		const id = ++this.#next;
		return new Promise((done) => {
			this.#waiting.set(id, done);
			this.socket.send(JSON.stringify({ id, method, params }));
		});
	}

	/** The value of an expression in the page. */
	async evaluate(expression: string): Promise<unknown> {
		const answer = (await this.call("Runtime.evaluate", { expression, returnByValue: true })) as {
			result: { value?: unknown };
		};
		return answer.result.value;
	}

	/** Makes the window so wide, for a screen or paper, light or dark. */
	async setMedia(width: number, media: "screen" | "print", scheme: "light" | "dark"): Promise<void> {
		const metrics = { width, height: 1200, deviceScaleFactor: 1, mobile: width < 600 };
		await this.call("Emulation.setDeviceMetricsOverride", metrics);
		const features = [{ name: "prefers-color-scheme", value: scheme }];
		await this.call("Emulation.setEmulatedMedia", { media, features });
	}

	/** A picture of the whole page, PNG. */
	async screenshot(): Promise<Uint8Array> {
		const answer = (await this.call("Page.captureScreenshot", { captureBeyondViewport: true })) as { data: string };
		return Buffer.from(answer.data, "base64");
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.socket.close();
		this.child.kill("SIGKILL");
		await this.child.exited;
		rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
	}
}
