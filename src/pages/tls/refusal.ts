// SPDX-License-Identifier: GPL-2.0-only
// Why a certificate isn't accepted, or a handshake failed, for people. Source of the names: openssl-verification-options(1),
// X509_STORE_CTX_get_error(3).

import type { Speech } from "./framer.ts";

/** What a relay tells of its connection, a line of JSON each. */
export type RelayNews =
	| { readonly state: "ready"; readonly peer: string; readonly protocol: string }
	| { readonly state: "failed"; readonly code: string; readonly message: string; readonly remedy: string }
	| {
			readonly state: "ended";
			/** The other side said farewell. */
			readonly clean: boolean;
			/** Anything has come from it. */
			readonly heard: boolean;
			readonly reason: string;
	  };

/** Numbers of the descriptors of a relay. */
export const CONNECTION_FD = 3;
export const PLAIN_FD = 4;
export const NEWS_FD = 5;
export const CONFIG_FD = 6;

export type Role = "client" | "server";

/** What a relay has to know. */
export interface RelayConfig {
	readonly role: Role;
	readonly speech: Speech;
	/** The host that the other side's certificate has to name. */
	readonly host: string | undefined;
	readonly ca: string;
	readonly crl: string | undefined;
	readonly cert: string;
	readonly key: string;
}

const UNTRUSTED = {
	text: "no authority that we trust has signed it",
	remedy: "give --tls-cacert the certificate of the authority that signed the other side's, up to its root",
};
const REASONS: Readonly<Record<string, { text: string; remedy: string }>> = {
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
	UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
	UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
	SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
	DEPTH_ZERO_SELF_SIGNED_CERT: { ...UNTRUSTED, text: "it's signed by itself, and not among those that we trust" },
	CERT_HAS_EXPIRED: { text: "it has expired", remedy: "renew it, and check the clocks of both hosts" },
	CERT_NOT_YET_VALID: { text: "it isn't valid yet", remedy: "check the clocks of both hosts" },
	CERT_REVOKED: { text: "it is revoked", remedy: "give the other side a new certificate" },
	CRL_HAS_EXPIRED: {
		text: "our list of revoked certificates has expired",
		remedy: "give --tls-cacrl a current list of the authority",
	},
	UNABLE_TO_GET_CRL: {
		text: "our list of revoked certificates isn't that of its authority",
		remedy: "give --tls-cacrl the lists of all authorities that the certificate depends on, or leave it out",
	},
	INVALID_PURPOSE: {
		text: "it isn't meant for this side of a connection",
		remedy: "make it without extended key usage, or with both clientAuth and serverAuth",
	},
};

/** The news of a certificate that isn't accepted; `code` as the TLS library names it. */
export function refuseCertificate(code: string, text: string): RelayNews {
	const { text: why, remedy } = REASONS[code] ?? { text, remedy: "check the certificates of both sides" };
	const message = `the certificate of the other side isn't accepted: ${why} (${code})`;
	return { state: "failed", code: "TLS_CERTIFICATE", message, remedy };
}

/** The news of a certificate of another host. */
export function refuseName(names: string, host: string): RelayNews {
	return {
		state: "failed",
		code: "TLS_NAME",
		message: `the certificate of the other side is for ${names}, not for ${host}`,
		remedy: "give --address a name that is in the certificate, or use --tls-no-cn-verify",
	};
}

/** The news of a handshake that didn't come to its end. */
export function failHandshake(why: string): RelayNews {
	return {
		state: "failed",
		code: "TLS_HANDSHAKE",
		message: `the TLS handshake failed: ${why}`,
		remedy: "use --tls on both sides, and look into the log of the other one",
	};
}
