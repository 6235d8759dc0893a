/* SPDX-License-Identifier: MIT */
/* bare_kernels_fatbin.S - the fat binary of bare_kernels.cu */
	.section .rodata
	.balign 64
	.globl bare_kernels_fatbin
	.type bare_kernels_fatbin, @object
bare_kernels_fatbin:
	.incbin BARE_FATBIN
	.size bare_kernels_fatbin, . - bare_kernels_fatbin
	.section .note.GNU-stack, "", @progbits
