/* SPDX-License-Identifier: GPL-2.0-only */
/* First code of dist/criu: ld.so jumps here instead of to the program's own start. Cleans the environment, then goes
 * on there with all registers as they came. rsp = argc, argv..., NULL, envp..., NULL; rdx = ld.so's exit function. */

	.section .header, "ax", @progbits
	.globl cr_entry_start, cr_entry_original, cr_entry_environ
cr_entry_start:
	movq	%rdx, %r12		/* callee-saved ones hold nothing yet */
	movq	%rsp, %rbx
	movq	%rsp, %rdi
	call	cr_entry_room		/* the stack is aligned to 16 here, as a call wants it */
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

	.section .note.GNU-stack, "", @progbits
