// SPDX-License-Identifier: GPL-2.0-only
// System V IPC: permissions, commands, shared memory segments, semaphores; POSIX message queues.
// Source: linux/ipc.h, linux/shm.h, linux/sem.h, asm-generic/ipcbuf.h, asm-generic/shmbuf.h, bits/shm.h, linux/mqueue.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;
export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;

export const SHM_HUGETLB = 0o4000;
export const SHM_LOCK = 11;
/** Of shmat(2). */
export const SHM_RDONLY = 0o10000;
export const SHM_EXEC = 0o100000;
/** Of a segment's mode. */
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;

export const SEM_UNDO = 0x1000;
export const SEM_STAT = 18;
export const SEM_INFO = 19;
export const GETVAL = 12;
export const GETALL = 13;
export const SETVAL = 16;

/** shmid64_ds with its ipc64_perm in place. */
export const ShmidDs = defineStruct("shmid64_ds", 112, {
	key: ["u32", 0],
	uid: ["u32", 4],
	gid: ["u32", 8],
	cuid: ["u32", 12],
	cgid: ["u32", 16],
	mode: ["u32", 20],
	shm_segsz: ["u64", 48],
	shm_atime: ["u64", 56],
	shm_dtime: ["u64", 64],
	shm_ctime: ["u64", 72],
	shm_cpid: ["i32", 80],
	shm_lpid: ["i32", 84],
	shm_nattch: ["u64", 88],
});
export type ShmidDs = StructValue<typeof ShmidDs>;

/** semid64_ds with its ipc64_perm in place. */
export const SemidDs = defineStruct("semid64_ds", 104, {
	key: ["u32", 0],
	sem_otime: ["u64", 48],
	sem_ctime: ["u64", 64],
	sem_nsems: ["u64", 80],
});
export type SemidDs = StructValue<typeof SemidDs>;

/** What SEM_INFO tells of an IPC namespace: `semusz` sets with `semaem` semaphores in all. */
export const Seminfo = defineStruct("seminfo", 40, {
	semopm: ["i32", 20],
	semusz: ["i32", 28],
	semaem: ["i32", 36],
});
export type Seminfo = StructValue<typeof Seminfo>;

/** One operation of semop(2). */
export const Sembuf = defineStruct("sembuf", 6, {
	sem_num: ["u16", 0],
	sem_op: ["i16", 2],
	sem_flg: ["i16", 4],
});
export type Sembuf = StructValue<typeof Sembuf>;

/** What mq_getsetattr(2) tells of a message queue. */
export const MqAttr = defineStruct("mq_attr", 64, {
	mq_flags: ["i64", 0],
	mq_maxmsg: ["i64", 8],
	mq_msgsize: ["i64", 16],
	mq_curmsgs: ["i64", 24],
});
export type MqAttr = StructValue<typeof MqAttr>;
