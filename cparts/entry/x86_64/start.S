/* SPDX-License-Identifier: GPL-2.0-only */
/* First code of dist/criu: ld.so jumps here instead of to the program's own start. Cleans the environment, then goes
 * on there with all registers as they came. rsp = argc, argv..., NULL, envp..., NULL; rdx = ld.so's exit function. */

	.section .header, "ax", @progbits
	.globl cr_entry_start, cr_entry_original
cr_entry_start:
	pushq	%rdx
	subq	$8, %rsp		/* the call below wants 16-byte alignment */
	leaq	16(%rsp), %rdi
	call	cr_entry_scrub
	addq	$8, %rsp
	popq	%rdx
	movq	cr_entry_original(%rip), %r11
	jmpq	*%r11
	.balign 8
cr_entry_original:
	.quad 0				/* the build writes the program's own entry point here */

	.section .note.GNU-stack, "", @progbits
