// SPDX-License-Identifier: GPL-2.0-only
// ioctl(2) numbers, computed as the kernel composes them: direction, size, type, number.
// Source: asm-generic/ioctl.h, asm-generic/ioctls.h, linux/fs.h, linux/fiemap.h, linux/userfaultfd.h, linux/nsfs.h, linux/pidfd.h.

const NONE = 0;
const WRITE = 1;
const READ = 2;

function compose(direction: number, type: number | string, nr: number, size: number): number {
	const letter = typeof type === "string" ? type.charCodeAt(0) : type;
	return ((direction << 30) | (size << 16) | (letter << 8) | nr) >>> 0;
}

/** A request without an argument. `type` is a letter or number. */
export function _IO(type: number | string, nr: number): number {
	return compose(NONE, type, nr, 0);
}

/** A request whose argument of `size` bytes the kernel writes. */
export function _IOR(type: number | string, nr: number, size: number): number {
	return compose(READ, type, nr, size);
}

/** A request whose argument of `size` bytes the kernel reads. */
export function _IOW(type: number | string, nr: number, size: number): number {
	return compose(WRITE, type, nr, size);
}

/** A request whose argument of `size` bytes the kernel reads and writes. */
export function _IOWR(type: number | string, nr: number, size: number): number {
	return compose(READ | WRITE, type, nr, size);
}

// Terminals
export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TCGETA = 0x5405;
export const TCSETA = 0x5406;
export const TCSETAW = 0x5407;
export const TCSETAF = 0x5408;
export const TCSBRK = 0x5409;
export const TCXONC = 0x540a;
export const TCFLSH = 0x540b;
export const TIOCEXCL = 0x540c;
export const TIOCNXCL = 0x540d;
export const TIOCSCTTY = 0x540e;
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCOUTQ = 0x5411;
export const TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCMGET = 0x5415;
export const TIOCMBIS = 0x5416;
export const TIOCMBIC = 0x5417;
export const TIOCMSET = 0x5418;
export const TIOCGSOFTCAR = 0x5419;
export const TIOCSSOFTCAR = 0x541a;
export const FIONREAD = 0x541b;
export const TIOCINQ = 0x541b;
export const TIOCCONS = 0x541d;
export const TIOCGSERIAL = 0x541e;
export const TIOCSSERIAL = 0x541f;
export const TIOCPKT = 0x5420;
export const FIONBIO = 0x5421;
export const TIOCNOTTY = 0x5422;
export const TIOCSETD = 0x5423;
export const TIOCGETD = 0x5424;
export const TCSBRKP = 0x5425;
export const TIOCSBRK = 0x5427;
export const TIOCCBRK = 0x5428;
export const TIOCGSID = 0x5429;
export const TIOCVHANGUP = 0x5437;
export const TIOCGPTPEER = 0x5441;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
export const FIOASYNC = 0x5452;
export const TIOCGLCKTRMIOS = 0x5456;
export const TIOCSLCKTRMIOS = 0x5457;
export const FIOQSIZE = 0x5460;
export const TIOCSPTLCK = 0x40045431;
export const TIOCSIG = 0x40045436;
export const TCSETS2 = 0x402c542b;
export const TCSETSW2 = 0x402c542c;
export const TCSETSF2 = 0x402c542d;
export const TIOCGPTN = 0x80045430;
export const TIOCGDEV = 0x80045432;
export const TIOCGPKT = 0x80045438;
export const TIOCGPTLCK = 0x80045439;
export const TIOCGEXCL = 0x80045440;
export const TCGETS2 = 0x802c542a;
// State bits of TIOCGPKT data and flush arguments
export const TCIFLUSH = 0;
export const TCOOFF = 0;
export const TIOCPKT_DATA = 0;
export const TCOFLUSH = 1;
export const TCOON = 1;
export const TIOCPKT_FLUSHREAD = 1;
export const TCIOFF = 2;
export const TCIOFLUSH = 2;
export const TIOCPKT_FLUSHWRITE = 2;
export const TCION = 3;
export const TIOCPKT_STOP = 4;
export const TIOCPKT_START = 8;
export const TIOCPKT_NOSTOP = 16;
export const TIOCPKT_DOSTOP = 32;
export const TIOCPKT_IOCTL = 64;

// Memory: /proc/PID/pagemap (6.7) and /proc/PID/maps (6.11); argument structs in pagemap-scan.ts and procmap-query.ts
export const PAGEMAP_SCAN = _IOWR("f", 16, 96);
export const PROCMAP_QUERY = _IOWR("f", 17, 104);

// Files
export const FS_IOC_GETFLAGS = _IOR("f", 1, 8);
export const FS_IOC_SETFLAGS = _IOW("f", 2, 8);
export const FS_IOC_GETVERSION = _IOR("v", 1, 8);
export const FS_IOC_FIEMAP = _IOWR("f", 11, 32);
export const FS_IOC_FSGETXATTR = _IOR("X", 31, 28);
export const FS_IOC_FSSETXATTR = _IOW("X", 32, 28);
export const FICLONE = _IOW(0x94, 9, 4);
export const FICLONERANGE = _IOW(0x94, 13, 32);
export const FIDEDUPERANGE = _IOWR(0x94, 54, 24);
export const FIBMAP = _IO(0, 1);
export const FIGETBSZ = _IO(0, 2);
export const FIFREEZE = _IOWR("X", 119, 4);
export const FITHAW = _IOWR("X", 120, 4);
export const BLKGETSIZE64 = _IOR(0x12, 114, 8);

// userfaultfd; argument structs in userfaultfd.ts
export const USERFAULTFD_IOC_NEW = _IO(0xaa, 0x00);
export const UFFDIO_API = _IOWR(0xaa, 0x3f, 24);
export const UFFDIO_REGISTER = _IOWR(0xaa, 0x00, 32);
export const UFFDIO_UNREGISTER = _IOR(0xaa, 0x01, 16);
export const UFFDIO_WAKE = _IOR(0xaa, 0x02, 16);
export const UFFDIO_COPY = _IOWR(0xaa, 0x03, 40);
export const UFFDIO_ZEROPAGE = _IOWR(0xaa, 0x04, 32);
export const UFFDIO_MOVE = _IOWR(0xaa, 0x05, 40);
export const UFFDIO_WRITEPROTECT = _IOWR(0xaa, 0x06, 24);
export const UFFDIO_CONTINUE = _IOWR(0xaa, 0x07, 32);
export const UFFDIO_POISON = _IOWR(0xaa, 0x08, 32);

// Namespace descriptors
export const NS_GET_USERNS = _IO(0xb7, 1);
export const NS_GET_PARENT = _IO(0xb7, 2);
export const NS_GET_NSTYPE = _IO(0xb7, 3);
export const NS_GET_OWNER_UID = _IO(0xb7, 4);
export const NS_GET_MNTNS_ID = _IOR(0xb7, 5, 8);
export const NS_GET_PID_FROM_PIDNS = _IOR(0xb7, 6, 4);
export const NS_GET_TGID_FROM_PIDNS = _IOR(0xb7, 7, 4);
export const NS_GET_PID_IN_PIDNS = _IOR(0xb7, 8, 4);
export const NS_GET_TGID_IN_PIDNS = _IOR(0xb7, 9, 4);

// pidfd (6.11)
export const PIDFD_GET_CGROUP_NAMESPACE = _IO(0xff, 1);
export const PIDFD_GET_IPC_NAMESPACE = _IO(0xff, 2);
export const PIDFD_GET_MNT_NAMESPACE = _IO(0xff, 3);
export const PIDFD_GET_NET_NAMESPACE = _IO(0xff, 4);
export const PIDFD_GET_PID_NAMESPACE = _IO(0xff, 5);
export const PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE = _IO(0xff, 6);
export const PIDFD_GET_TIME_NAMESPACE = _IO(0xff, 7);
export const PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE = _IO(0xff, 8);
export const PIDFD_GET_USER_NAMESPACE = _IO(0xff, 9);
export const PIDFD_GET_UTS_NAMESPACE = _IO(0xff, 10);
/** With the first version of `struct pidfd_info`. Since: 6.13. */
export const PIDFD_GET_INFO = _IOWR(0xff, 11, 64);

// epoll (6.9)
export const EPIOCSPARAMS = _IOW(0x8a, 1, 8);
export const EPIOCGPARAMS = _IOR(0x8a, 2, 8);

// timerfd, tun
export const TFD_IOC_SET_TICKS = _IOW("T", 0, 8);
export const TUNSETIFF = _IOW("T", 202, 4);
export const TUNSETPERSIST = _IOW("T", 203, 4);
export const TUNSETOWNER = _IOW("T", 204, 4);
export const TUNSETGROUP = _IOW("T", 206, 4);
export const TUNGETIFF = _IOR("T", 210, 4);
export const TUNGETSNDBUF = _IOR("T", 211, 4);
export const TUNSETSNDBUF = _IOW("T", 212, 4);
export const TUNGETVNETHDRSZ = _IOR("T", 215, 4);
export const TUNSETVNETHDRSZ = _IOW("T", 216, 4);
export const TUNSETQUEUE = _IOW("T", 217, 4);
export const TUNSETIFINDEX = _IOW("T", 218, 4);
export const TUNGETFILTER = _IOR("T", 219, 16);

// inotify
export const INOTIFY_IOC_SETNEXTWD = _IOW("I", 0, 4);
