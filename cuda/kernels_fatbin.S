/* SPDX-License-Identifier: MIT */
/* kernels_fatbin.S - the fat binary of kernels.cu, as cuModuleLoadData wants it */
	.section .rodata
	.balign 64
	.globl vgpu_kernels_fatbin
	.type vgpu_kernels_fatbin, @object
vgpu_kernels_fatbin:
	.incbin KERNELS_FATBIN
	.size vgpu_kernels_fatbin, . - vgpu_kernels_fatbin
	.section .note.GNU-stack, "", @progbits
