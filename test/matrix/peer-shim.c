// SPDX-License-Identifier: GPL-2.0-only
// Preloaded into the peer: since Linux 6.16 only sockets that can pass descriptors know SO_PASSCRED and SO_PASSSEC, and CRIU
// up to 4.1 takes the error on others for a failure. They are off there, as they were before.
#define SYS_getsockopt 55
#define SOL_SOCKET 1
#define SO_PASSCRED 16
#define SO_PASSSEC 34
#define EOPNOTSUPP 95

extern int *__errno_location(void);

int getsockopt(int fd, int level, int name, void *value, unsigned int *length)
{
	register void *fourth __asm__("r10") = value;
	register unsigned int *fifth __asm__("r8") = length;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"((long)SYS_getsockopt), "D"((long)fd), "S"((long)level), "d"((long)name), "r"(fourth), "r"(fifth)
			 : "rcx", "r11", "memory");
	if (ret == -EOPNOTSUPP && level == SOL_SOCKET && (name == SO_PASSCRED || name == SO_PASSSEC)) {
		*(int *)value = 0;
		return 0;
	}
	if (ret < 0) {
		*__errno_location() = (int)-ret;
		return -1;
	}
	return (int)ret;
}
