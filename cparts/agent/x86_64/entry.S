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
	.long cr_thread_entry - cr_blob
	.long cr_thread_entry32 - cr_blob

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

/* A led thread comes here by the word below its stack pointer, which tells the slot that is its own. From INSIDE on the word
 * leads home again (struct cr_slot). Offsets of cr_ctl and cr_slot: agent.c has them proved. */
cr_thread_entry:
	leaq	-8(%rsp), %rax
3:	leaq	cr_blob-4096(%rip), %rdi
	movq	96(%rdi), %rsi		/* ctl.slots */
	addq	%rdi, %rsi
1:	cmpq	%rax, 8(%rsi)		/* slot.ret_at */
	je	2f
	addq	$72, %rsi
	jmp	1b
2:	movl	$2, (%rsi)		/* slot.state = CR_SLOT_INSIDE */
	movq	16(%rsi), %rdx		/* slot.home */
	movq	%rdx, (%rax)
	movq	40(%rsi), %rsp		/* slot.stack */
	xorl	%ebp, %ebp
	call	cr_thread
	ud2

/* The same for a thread of 32-bit code: it goes on as 64-bit code. The word at -4(%esp) has to stay. */
	.code32
cr_thread_entry32:
	leal	-4(%esp), %eax
	leal	-64(%esp), %esp
	pushl	$0x33
	call	1f
1:	addl	$2f - 1b, (%esp)
	ljmp	*(%esp)			/* not lret: emulators take that one's reads for the kernel's */
	.code64
2:	movl	%eax, %eax
	jmp	3b

/* void cr_thread_leave(slot): futex(&slot->state, FUTEX_WAKE_OP, 1, 0, &slot->state, FUTEX_OP_SET CR_SLOT_LEFT) by an
 * instruction outside of the area, from where the word on the stack leads home; 15 is what that may take from registers. */
	.globl cr_thread_leave
cr_thread_leave:
	movq	32(%rdi), %rsp		/* slot.leave_sp */
	movq	24(%rdi), %rcx		/* slot.call */
	movl	$202, %eax
	movl	$5, %esi
	movl	$1, %edx
	xorl	%r10d, %r10d
	movq	%rdi, %r8
	movl	$0x3000, %r9d
	movl	$15, %ebx
	movl	$15, %ebp
	movl	$15, %r12d
	movl	$15, %r13d
	movl	$15, %r14d
	movl	$15, %r15d
	jmp	*%rcx

/* The same for a thread of 32-bit code, to which it goes back first. */
	.globl cr_thread_leave32
cr_thread_leave32:
	movl	32(%rdi), %esp		/* slot.leave_sp */
	movl	$240, %eax
	movl	%edi, %ebx
	movl	$5, %ecx
	movl	$1, %edx
	xorl	%esi, %esi
	movl	$0x3000, %ebp
	ljmp	*24(%rdi)		/* slot.call, and the segment of 32-bit code */

/* i64 cr_int80(nr, args) */
	.globl cr_int80
cr_int80:
	pushq	%rbx
	pushq	%rbp
	movl	%edi, %eax
	movl	(%rsi), %ebx
	movl	8(%rsi), %ecx
	movl	16(%rsi), %edx
	movl	32(%rsi), %edi
	movl	40(%rsi), %ebp
	movl	24(%rsi), %esi
	int	$0x80
	popq	%rbp
	popq	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
