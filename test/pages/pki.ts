// SPDX-License-Identifier: GPL-2.0-only
// Authorities and certificates for tests, made by openssl in a directory that the test removes.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function openssl(dir: string, ...args: string[]): void {
	const run = spawnSync("openssl", args, { cwd: dir, encoding: "utf8" });
	if (run.status !== 0) throw new Error(`openssl ${args.join(" ")}: ${run.error?.message ?? run.stderr}`);
}

/** One directory of keys; names are without their endings. */
export class Pki {
	constructor(readonly dir: string) {
		mkdirSync(dir, { recursive: true });
	}

	/** Path of a file. */
	path(name: string): string {
		return join(this.dir, name);
	}

	/** An authority, which has revoked nothing. */
	makeAuthority(name: string): void {
		openssl(
			this.dir,
			...[
				"req",
				"-x509",
				...NEW_KEY,
				"-keyout",
				`${name}.key`,
				"-out",
				`${name}.pem`,
				"-subj",
				`/CN=${name}`,
				"-days",
				"2",
			],
		);
		writeFileSync(this.path(`${name}.index`), "");
		for (const what of ["serial", "number"]) writeFileSync(this.path(`${name}.${what}`), "01\n");
		const lines = [
			...[
				"[ca]",
				"default_ca=this",
				"[this]",
				`database=${name}.index`,
				`serial=${name}.serial`,
				`crlnumber=${name}.number`,
			],
			...["new_certs_dir=.", `certificate=${name}.pem`, `private_key=${name}.key`, "default_md=sha256"],
			...["default_crl_days=2", "policy=any", "unique_subject=no", "[any]", "commonName=supplied", "[names]"],
			"subjectAltName=DNS:localhost,IP:127.0.0.1",
			...["[others]", "subjectAltName=DNS:elsewhere.example"],
		];
		writeFileSync(this.path(`${name}.cnf`), lines.join("\n"));
	}

	/** A key with a certificate; of this host unless `names` says otherwise. */
	issue(authority: string, name: string, days: "valid" | "expired" = "valid", names = "names"): void {
		openssl(this.dir, "req", ...NEW_KEY, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
		const time = days === "valid" ? ["-days", "2"] : ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"];
		const files = ["-in", `${name}.csr`, "-out", `${name}.pem`];
		openssl(
			this.dir,
			"ca",
			"-config",
			`${authority}.cnf`,
			"-batch",
			"-notext",
			"-extensions",
			names,
			...time,
			...files,
		);
	}

	/** Revokes a certificate and writes the authority's list, NAME.crl. */
	revoke(authority: string, name: string | undefined): void {
		const config = ["ca", "-config", `${authority}.cnf`];
		if (name !== undefined) openssl(this.dir, ...config, "-revoke", `${name}.pem`);
		openssl(this.dir, ...config, "-gencrl", "-out", `${authority}.crl`);
	}

	/** Options of a side that shows a certificate and trusts an authority. */
	options(name: string, authority = "ca"): string[] {
		const [ca, cert, key] = [`${authority}.pem`, `${name}.pem`, `${name}.key`].map((file) => this.path(file));
		return ["--tls", `--tls-cacert=${ca}`, `--tls-cert=${cert}`, `--tls-key=${key}`];
	}
}
