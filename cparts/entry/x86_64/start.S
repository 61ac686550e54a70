/* SPDX-License-Identifier: GPL-2.0-only */
/* First code after ld.so: it jumps here instead of to the program's own start. Cleans the environment, then goes
 * on there with all registers as they came. rsp = argc, argv..., NULL, envp..., NULL; rdx = ld.so's exit function. */

	.section .header, "ax", @progbits
	.globl cr_entry_start, cr_entry_original, cr_entry_environ, cr_entry_code, cr_pack_start, cr_pack_open, cr_pack
cr_entry_start:
	movq	%rdx, %r12		/* callee-saved ones hold nothing yet */
	movq	%rsp, %rbx
	movq	cr_entry_code(%rip), %rdi
	movq	8 + cr_entry_code(%rip), %rsi
	movl	$14, %edx		/* MADV_HUGEPAGE; where it doesn't exist nothing is lost */
	movl	$28, %eax		/* madvise */
	syscall
	call	cr_entry_directory	/* the stack is aligned to 16 here, as a call wants it */
	movq	%rsp, %rdi
	call	cr_entry_room
	subq	%rax, %rsp
	movq	%rbx, %rdi
	movq	%rsp, %rsi
	movq	cr_entry_environ(%rip), %rdx
	call	cr_entry_move
	movq	%r12, %rdx
	xorl	%r12d, %r12d
	xorl	%ebx, %ebx
	movq	cr_entry_original(%rip), %r11
	jmpq	*%r11
	.balign 8
cr_entry_original:
	.quad 0				/* the build writes the program's own entry point here */
cr_entry_environ:
	.quad 0				/* and the address of `environ` */
cr_entry_code:
	.quad 0, 0			/* and where the program's code lies, and its size */

/* The kernel starts the process here. ld.so gets the stack and the registers as it would get them from the kernel. */
cr_pack_start:
	movq	%rsp, %rbx
	movq	%rsp, %rdi
	call	cr_pack_start_loader
	movq	%rbx, %rsp
	xorl	%ebx, %ebx
	xorl	%edx, %edx
	jmpq	*%rax

/* Our ld.so calls this instead of making the system call openat(AT_FDCWD, rdi, edx, r10), and expects of it what it
 * expects of a system call: all registers but rax, rcx and r11 as they were. */
cr_pack_open:
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%r8
	pushq	%r9
	pushq	%r10
	movslq	%edx, %rsi
	movslq	%r10d, %rdx
	call	cr_pack_open_file
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdx
	popq	%rsi
	popq	%rdi
	ret

	.balign 8
cr_pack:
	.fill	8 + 8 * 6, 8, 0		/* the build fills it in, see loader.h */

	.section .note.GNU-stack, "", @progbits
