// SPDX-License-Identifier: GPL-2.0-only
// What a side of an encrypted connection shows and trusts: certificates, key and revocations, from PEM files. They are checked here,
// before anything is promised or done, and not by the process that talks.

import type { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { messageOf, UsageError } from "../../errors.ts";
import { log } from "../../log.ts";
import type { Options } from "../../options.ts";

/** Where CRIU looks when nothing else is named. */
const DEFAULT_CA = "/etc/pki/CA/cacert.pem";
const DEFAULT_CRL = "/etc/pki/CA/cacrl.pem";
const DEFAULT_CERT = "/etc/pki/criu/cert.pem";
const DEFAULT_KEY = "/etc/pki/criu/private/key.pem";
/** What the host trusts, by distribution. Used, as by CRIU, when no authority is named. */
const SYSTEM_TRUST = [
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
];
const MAX_SIZE = 16 << 20;
const OTHERS = 0o007;

/** PEM texts. */
export interface TlsMaterial {
	readonly ca: string;
	readonly crl: string | undefined;
	/** Our own certificate, with those between it and an authority behind it. */
	readonly cert: string;
	readonly key: string;
}

/** Loaded when it's needed: every dump loads this module, and few encrypt anything. */
const crypto = () => process.getBuiltinModule("node:crypto");

type TlsOptions = Pick<Options, "tlsCaCert" | "tlsCaCrl" | "tlsCert" | "tlsKey">;

function refuse(problem: string, remedy: string, cause?: unknown): UsageError {
	return new UsageError("TLS_FILE", problem, { remedy, cause });
}

function exists(path: string): boolean {
	return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function readText(path: string, what: string, option: string): string {
	const remedy = `name a readable PEM file with ${option}`;
	try {
		const { size } = statSync(path);
		if (size <= MAX_SIZE) return readFileSync(path, "latin1");
	} catch (error) {
		throw refuse(`${what} ${path} can't be read: ${messageOf(error)}`, remedy, error);
	}
	throw refuse(`${what} ${path} is larger than ${MAX_SIZE >> 20} MiB`, remedy);
}

/** The certificates of a PEM text. @throws UsageError TLS_FILE for one that is none */
function listCertificates(text: string, path: string, option: string): X509Certificate[] {
	const blocks = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END [^-]+-----/g) ?? [];
	return blocks.map((block, index) => {
		try {
			return new (crypto().X509Certificate)(block);
		} catch (error) {
			throw refuse(`certificate ${index + 1} of ${path} is damaged`, `name another file with ${option}`, error);
		}
	});
}

/** Authorities: those of a file that was named or is in the usual place, and without a named one those of the system. */
function readTrust(named: string | undefined): string {
	const option = "--tls-cacert";
	const path = named ?? DEFAULT_CA;
	const texts: string[] = [];
	if (named !== undefined || exists(path)) {
		const text = readText(path, "the certificate of the authority", option);
		if (listCertificates(text, path, option).length > 0) texts.push(text);
		else if (named !== undefined)
			throw refuse(`there is no certificate in ${path}`, `name another file with ${option}`);
	}
	const system = named === undefined ? SYSTEM_TRUST.find(exists) : undefined;
	if (system !== undefined) texts.push(readText(system, "the system's list of authorities", option));
	if (texts.length > 0) return texts.join("\n");
	throw refuse(`there is no certificate of an authority: no ${DEFAULT_CA}`, `name one with ${option}`);
}

function readRevocations(named: string | undefined): string | undefined {
	const path = named ?? DEFAULT_CRL;
	if (named === undefined && !exists(path)) return undefined;
	const option = "--tls-cacrl";
	const text = readText(path, "the list of revoked certificates", option);
	if (text.includes("-----BEGIN X509 CRL-----")) return text;
	throw refuse(`there is no list of revoked certificates in ${path}`, `name another file with ${option}`);
}

function readCertificate(path: string): { text: string; own: X509Certificate } {
	const option = "--tls-cert";
	const text = readText(path, "our certificate", option);
	const [own] = listCertificates(text, path, option);
	if (own === undefined) throw refuse(`there is no certificate in ${path}`, `name another file with ${option}`);
	if (Date.parse(own.validTo) < Date.now()) log.warn(`our certificate ${path} has expired: ${own.validTo}`);
	return { text, own };
}

function readKey(path: string): string {
	const text = readText(path, "our key", "--tls-key");
	if ((statSync(path).mode & OTHERS) !== 0) log.warn(`all users may read our key ${path}: chmod o= it`);
	return text;
}

/**
 * Reads and checks all files of an encrypted connection.
 *
 * @throws UsageError TLS_FILE
 */
export function readMaterial({ tlsCaCert, tlsCaCrl, tlsCert, tlsKey }: TlsOptions): TlsMaterial {
	const certPath = tlsCert ?? DEFAULT_CERT;
	const keyPath = tlsKey ?? DEFAULT_KEY;
	const ca = readTrust(tlsCaCert);
	const crl = readRevocations(tlsCaCrl);
	const { text, own } = readCertificate(certPath);
	const key = readKey(keyPath);
	let fits: boolean;
	try {
		fits = own.checkPrivateKey(crypto().createPrivateKey(key));
	} catch (error) {
		const remedy = "name a PEM file with --tls-key; one with a passphrase can't be used";
		throw refuse(`there is no usable key in ${keyPath}`, remedy, error);
	}
	if (!fits)
		throw refuse(`the key in ${keyPath} isn't that of the certificate ${certPath}`, "name those that belong together");
	return { ca, crl, cert: text, key };
}

/** True for a certificate of that host, by its subject's alternative names, or without such names by its common name. */
export function isNamed(certificate: X509Certificate, host: string): boolean {
	const found =
		process.getBuiltinModule("node:net").isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
	return found !== undefined;
}
