/* SPDX-License-Identifier: GPL-2.0-only */
/* Entries of the agent on x86_64, and the two places where C can't say what has to happen. */

	.section .header, "ax", @progbits
	.globl cr_blob
cr_blob:
	.long 0x41475243
	.long 1
	.long cr_agent_entry - cr_blob
	.long cr_exec_entry - cr_blob
	.quad 0			/* area */
	.quad 0			/* area_len */
	.long 0			/* area_fd */
	.long 0			/* ctl */
	.long 0			/* loop */
	.long 0			/* stack */

	.text
/* rdi = control block, rsp = end of the stack. */
cr_agent_entry:
	xorl	%esi, %esi
cr_child_entry:
	xorl	%ebp, %ebp
	andq	$-16, %rsp
	call	cr_agent
	ud2

/* First code of a new process, running in the ELF made from this blob: maps the shared area at its place and goes on
 * there, so that nothing of the ELF stays mapped (the exe link can only be changed then). */
cr_exec_entry:
	leaq	cr_blob(%rip), %rbx
	movl	$9, %eax		/* mmap */
	movq	16(%rbx), %rdi
	movq	24(%rbx), %rsi
	movl	$7, %edx		/* RWX */
	movl	$0x100001, %r10d	/* MAP_SHARED | MAP_FIXED_NOREPLACE */
	movl	32(%rbx), %r8d
	xorl	%r9d, %r9d
	syscall
	cmpq	16(%rbx), %rax
	jne	1f
	movl	$3, %eax		/* close */
	movl	32(%rbx), %edi
	syscall
	movq	16(%rbx), %rdi
	movl	44(%rbx), %eax
	leaq	(%rdi,%rax), %rsp
	movl	40(%rbx), %eax
	leaq	(%rdi,%rax), %rcx
	movl	36(%rbx), %eax
	addq	%rax, %rdi
	jmp	*%rcx
1:	movl	$231, %eax		/* exit_group(98): the engine names the reason */
	movl	$98, %edi
	syscall
	ud2

/* long cr_clone3(args, size, ctl, unused, maker): the child never returns, it serves its own control block on the new
 * stack. The fifth argument is the last one that clone3 leaves alone. */
	.globl cr_clone3
cr_clone3:
	movl	$435, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	ret
1:	movq	%rdx, %rdi
	movq	%r8, %rsi
	jmp	cr_child_entry

/* void cr_sigreturn_at(sp) */
	.globl cr_sigreturn_at
cr_sigreturn_at:
	movq	%rdi, %rsp
	movl	$15, %eax
	syscall
	ud2

	.section .note.GNU-stack, "", @progbits
