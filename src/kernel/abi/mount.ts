// SPDX-License-Identifier: GPL-2.0-only
// mount(2), umount2(2) and the newer mount calls.
// Source: linux/mount.h.

import { defineStruct, type StructValue } from "./struct.ts";

// mount flags
export const MS_RDONLY = 0x1;
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
export const MS_SYNCHRONOUS = 0x10;
export const MS_REMOUNT = 0x20;
export const MS_MANDLOCK = 0x40;
export const MS_DIRSYNC = 0x80;
export const MS_NOSYMFOLLOW = 0x100;
export const MS_NOATIME = 0x400;
export const MS_NODIRATIME = 0x800;
export const MS_BIND = 0x1000;
export const MS_MOVE = 0x2000;
export const MS_REC = 0x4000;
export const MS_SILENT = 0x8000;
export const MS_VERBOSE = 0x8000;
export const MS_POSIXACL = 0x10000;
export const MS_UNBINDABLE = 0x20000;
export const MS_PRIVATE = 0x40000;
export const MS_SLAVE = 0x80000;
export const MS_SHARED = 0x100000;
export const MS_RELATIME = 0x200000;
export const MS_KERNMOUNT = 0x400000;
export const MS_I_VERSION = 0x800000;
export const MS_STRICTATIME = 0x1000000;
export const MS_LAZYTIME = 0x2000000;
export const MS_SUBMOUNT = 0x4000000;
export const MS_NOREMOTELOCK = 0x8000000;
export const MS_NOSEC = 0x10000000;
export const MS_BORN = 0x20000000;
export const MS_ACTIVE = 0x40000000;
export const MS_NOUSER = 0x80000000;

// f_flags of statfs(2) (include/linux/statfs.h)
export const ST_NOEXEC = 0x8;

// umount flags (include/linux/fs.h)
export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const MNT_EXPIRE = 4;
export const UMOUNT_NOFOLLOW = 8;

// open_tree, move_mount, fsopen, fspick, fsmount
export const FSMOUNT_CLOEXEC = 0x1;
export const FSOPEN_CLOEXEC = 0x1;
export const FSPICK_CLOEXEC = 0x1;
export const MOVE_MOUNT_F_SYMLINKS = 0x1;
export const OPEN_TREE_CLONE = 0x1;
export const FSPICK_SYMLINK_NOFOLLOW = 0x2;
export const MOVE_MOUNT_F_AUTOMOUNTS = 0x2;
export const FSPICK_NO_AUTOMOUNT = 0x4;
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
export const FSPICK_EMPTY_PATH = 0x8;
export const MOVE_MOUNT_T_SYMLINKS = 0x10;
export const MOVE_MOUNT_T_AUTOMOUNTS = 0x20;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
export const MOVE_MOUNT_SET_GROUP = 0x100;
export const MOVE_MOUNT_BENEATH = 0x200;
export const OPEN_TREE_CLOEXEC = 0x80000;

// fsconfig commands (an enum)
export const FSCONFIG_SET_FLAG = 0;
export const FSCONFIG_SET_STRING = 1;
export const FSCONFIG_SET_BINARY = 2;
export const FSCONFIG_SET_PATH = 3;
export const FSCONFIG_SET_PATH_EMPTY = 4;
export const FSCONFIG_SET_FD = 5;
export const FSCONFIG_CMD_CREATE = 6;
export const FSCONFIG_CMD_RECONFIGURE = 7;

// mount_setattr (a 64-bit field)
export const MOUNT_ATTR_RELATIME = 0x0n;
export const MOUNT_ATTR_RDONLY = 0x1n;
export const MOUNT_ATTR_NOSUID = 0x2n;
export const MOUNT_ATTR_NODEV = 0x4n;
export const MOUNT_ATTR_NOEXEC = 0x8n;
export const MOUNT_ATTR_NOATIME = 0x10n;
export const MOUNT_ATTR_STRICTATIME = 0x20n;
export const MOUNT_ATTR__ATIME = 0x70n;
export const MOUNT_ATTR_NODIRATIME = 0x80n;
export const MOUNT_ATTR_IDMAP = 0x100000n;
export const MOUNT_ATTR_NOSYMFOLLOW = 0x200000n;

/** Argument of mount_setattr(2). */
export const MountAttr = defineStruct("mount_attr", 32, {
	attr_set: ["u64", 0],
	attr_clr: ["u64", 8],
	propagation: ["u64", 16],
	userns_fd: ["u64", 24],
});
export type MountAttr = StructValue<typeof MountAttr>;
