// SPDX-License-Identifier: GPL-2.0-only
// All message types of the generated code.

import type { DescFile, DescMessage, Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { file_cgroup } from "../../src/images/gen/cgroup_pb.ts";
import { file_core } from "../../src/images/gen/core_pb.ts";
import { file_fdinfo } from "../../src/images/gen/fdinfo_pb.ts";
import { file_file } from "../../src/images/gen/file_pb.ts";
import { file_fown } from "../../src/images/gen/fown_pb.ts";
import { file_fsnotify } from "../../src/images/gen/fsnotify_pb.ts";
import { file_img_streamer } from "../../src/images/gen/img_streamer_pb.ts";
import { file_inventory } from "../../src/images/gen/inventory_pb.ts";
import { file_ipc } from "../../src/images/gen/ipc_pb.ts";
import { file_mm } from "../../src/images/gen/mm_pb.ts";
import { file_mount } from "../../src/images/gen/mount_pb.ts";
import { file_namespace } from "../../src/images/gen/namespace_pb.ts";
import { file_net } from "../../src/images/gen/net_pb.ts";
import { file_rpc } from "../../src/images/gen/rpc_pb.ts";
import { file_security } from "../../src/images/gen/security_pb.ts";
import { file_socket } from "../../src/images/gen/socket_pb.ts";
import { file_stats } from "../../src/images/gen/stats_pb.ts";
import { file_tty } from "../../src/images/gen/tty_pb.ts";

export const ALL_FILES: DescFile[] = [
	file_cgroup,
	file_core,
	file_fdinfo,
	file_file,
	file_fown,
	file_fsnotify,
	file_img_streamer,
	file_inventory,
	file_ipc,
	file_mm,
	file_mount,
	file_namespace,
	file_net,
	file_rpc,
	file_security,
	file_socket,
	file_stats,
	file_tty,
];

export const ALL_MESSAGES: DescMessage[] = ALL_FILES.flatMap((file) => file.messages);

/** The same object under the type that the codec takes. */
export function asSchema(desc: DescMessage): GenMessage<Message> {
	return desc as unknown as GenMessage<Message>;
}
