// SPDX-License-Identifier: GPL-2.0-only
// A computation that keeps all registers busy, for target.c: its result tells whether one of them was changed meanwhile.
#ifndef DIGEST_H
#define DIGEST_H
#include <stdint.h>

struct digest {
	uint64_t gpr[15], red_zone[16], flags, mxcsr, k[8];
	uint8_t x87[16];
	uint8_t vector[32 * 64];
} __attribute__((packed));

// digest_NAME(table, result, iterations). Field offsets of struct digest: gpr 0, red zone 120, flags 248, mxcsr 256, k 264,
// x87 328, vectors 344.
#define DIGEST(name, load, store, step, loadk, storek)                                                                  \
	__asm__(".text\n.globl digest_" name "\ndigest_" name ":\n"                                                      \
		"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"                    \
		load loadk "fninit\n fldpi\n fld1\n push $0x9f80\n ldmxcsr (%rsp)\n lea 8(%rsp), %rsp\n"                 \
		".set i, 0\n .rept 16\n mov 8*i(%rdi), %rax\n mov %rax, -8-8*i(%rsp)\n .set i, i+1\n .endr\n"             \
		"mov %rdx, %rcx\n mov (%rdi), %rax\n mov 8(%rdi), %rbx\n mov 16(%rdi), %rbp\n mov 24(%rdi), %rsi\n"       \
		"mov 32(%rdi), %r8\n mov 40(%rdi), %r9\n mov 48(%rdi), %r10\n mov 56(%rdi), %r11\n"                      \
		"mov 64(%rdi), %r12\n mov 72(%rdi), %r13\n mov 80(%rdi), %r14\n mov 88(%rdi), %r15\n"                    \
		"mov 96(%rdi), %rdx\n mov 104(%rdi), %rdi\n std\n"                                                       \
		"1: add %rbx, %rax\n add %rbp, %rbx\n add %rsi, %rbp\n add %r8, %rsi\n add %r9, %r8\n add %r10, %r9\n"   \
		"add %r11, %r10\n add %r12, %r11\n add %r13, %r12\n add %r14, %r13\n add %r15, %r14\n add %rdi, %r15\n"  \
		"add %rdx, %rdi\n rol $7, %rdx\n add %rax, %rdx\n add %rax, -8(%rsp)\n xor %rbx, -128(%rsp)\n"           \
		"fadd %st(1), %st\n" step "dec %rcx\n jnz 1b\n"                                                          \
		"xchg %rax, (%rsp)\n mov %rbx, 8(%rax)\n mov %rbp, 16(%rax)\n mov %rsi, 24(%rax)\n mov %r8, 32(%rax)\n"  \
		"mov %r9, 40(%rax)\n mov %r10, 48(%rax)\n mov %r11, 56(%rax)\n mov %r12, 64(%rax)\n mov %r13, 72(%rax)\n" \
		"mov %r14, 80(%rax)\n mov %r15, 88(%rax)\n mov %rdi, 96(%rax)\n mov %rdx, 104(%rax)\n"                   \
		"mov %rcx, 112(%rax)\n mov (%rsp), %rbx\n mov %rbx, (%rax)\n"                                            \
		".set i, 0\n .rept 16\n mov -8-8*i(%rsp), %rbx\n mov %rbx, 120+8*i(%rax)\n .set i, i+1\n .endr\n"         \
		"pushfq\n pop %rbx\n and $0x400, %rbx\n mov %rbx, 248(%rax)\n cld\n stmxcsr 256(%rax)\n fstpt 328(%rax)\n" \
		store storek "fninit\n push $0x1f80\n ldmxcsr (%rsp)\n lea 8(%rsp), %rsp\n"                              \
		"pop %rsi\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n")

#define EACH(n, text) ".altmacro\n.macro each i\n" text "\n.endm\n.set n, 0\n.rept " #n "\n each %n\n.set n, n+1\n.endr\n.purgem each\n.noaltmacro\n"
#define ROUND(n, text) ".altmacro\n.macro both i, j\n" text "\n.endm\n.set n, 0\n.rept " #n "-1\n both %n, %(n+1)\n.set n, n+1\n.endr\n.purgem both\n.noaltmacro\n"

DIGEST("sse", EACH(16, "movdqu 64*\\i(%rdi), %xmm\\i"), EACH(16, "movdqu %xmm\\i, 344+64*\\i(%rax)"),
       ROUND(16, "paddq %xmm\\j, %xmm\\i"), "", "");
DIGEST("avx", EACH(16, "vmovdqu 64*\\i(%rdi), %ymm\\i"), EACH(16, "vmovdqu %ymm\\i, 344+64*\\i(%rax)") "vzeroupper\n",
       ROUND(16, "vpaddq %ymm\\j, %ymm\\i, %ymm\\i"), "", "");
DIGEST("avx512", EACH(32, "vmovdqu64 64*\\i(%rdi), %zmm\\i"), EACH(32, "vmovdqu64 %zmm\\i, 344+64*\\i(%rax)"),
       ROUND(32, "vpaddq %zmm\\j, %zmm\\i, %zmm\\i"), EACH(8, "kmovw 8*\\i(%rdi), %k\\i"),
       EACH(8, "kmovw %k\\i, 264+8*\\i(%rax)") "vzeroupper\n");

void digest_sse(const uint64_t *, struct digest *, uint64_t);
void digest_avx(const uint64_t *, struct digest *, uint64_t);
void digest_avx512(const uint64_t *, struct digest *, uint64_t);
#endif
