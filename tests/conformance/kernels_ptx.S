/* SPDX-License-Identifier: MIT */
/* kernels_ptx.S - the guest's kernels of the conformance test, and their ends */
#define EMBED(name, file)		\
	.balign 8;			\
	.globl name;			\
	name: .incbin file;		\
	.globl name##_end;		\
	name##_end: .byte '!'

	.section .rodata
	EMBED(kernels_ptx, "tests/conformance/kernels.ptx")
#ifdef KERNELS_CUBIN
	EMBED(kernels_cubin, KERNELS_CUBIN)
	EMBED(kernels_fatbin, KERNELS_FATBIN)
#endif
	.section .note.GNU-stack, "", %progbits
