// SPDX-License-Identifier: GPL-2.0-only
// The cure chain of a thread, of the sort that its code needs.

import { buildChain32, chainSize32 } from "./chain.ia32.ts";
import { buildChain64, type Chain, type ChainRequest, chainSize64 } from "./chain.x86_64.ts";

export type { Chain, ChainRequest } from "./chain.x86_64.ts";

/** Bytes that a chain takes, a multiple of 64. */
export function chainSize(request: ChainRequest): number {
	return request.gadgets.isIa32 ? chainSize32(request) : chainSize64(request);
}

/** Builds the chain to lie at `address` (64-byte aligned). Pure. */
export function buildChain(request: ChainRequest, address: bigint): Chain {
	return request.gadgets.isIa32 ? buildChain32(request, address) : buildChain64(request, address);
}
