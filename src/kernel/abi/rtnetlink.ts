// SPDX-License-Identifier: GPL-2.0-only
// Links and ids of network namespaces over rtnetlink.
// Source: linux/rtnetlink.h, linux/if_link.h, linux/net_namespace.h; rtnetlink(7).

import { defineStruct, type StructValue } from "./struct.ts";

export const RTM_SETLINK = 19;
export const RTM_NEWNSID = 88;
export const RTM_GETNSID = 90;

export const IFLA_NEW_IFINDEX = 49;

export const NETNSA_NSID = 1;
export const NETNSA_FD = 3;

/** Fixed part of a message about a link. */
export const Ifinfomsg = defineStruct("ifinfomsg", 16, {
	ifi_family: ["u8", 0],
	ifi_type: ["u16", 2],
	ifi_index: ["i32", 4],
	ifi_flags: ["u32", 8],
	ifi_change: ["u32", 12],
});
export type Ifinfomsg = StructValue<typeof Ifinfomsg>;
