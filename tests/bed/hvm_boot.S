/* SPDX-License-Identifier: MIT */
/*
 * hvm_boot.S - the second half of the kernel image that HVM guests of the bed boot
 *
 * Xen's device model gives a guest its kernel and initramfs byte by byte, which
 * takes minutes here, and so does unpacking the kernel. Both are in the guest's
 * memory from the start instead (guest_create in lib/bed.sh), and this stands where
 * Linux's own unpacker would, behind Linux's own real mode code, which comes here
 * as Linux's boot protocol says: protected mode, flat segments, no paging, %esi the
 * boot parameters. It says where the initramfs is, enters 64-bit mode with the first
 * 1 GiB of memory mapped as it is, and goes to the kernel. mkimage puts the
 * initramfs' size behind it.
 */
	.set SELF, 0x100000
	.set KERNEL, 0x1000000		/* where vmlinux is linked to be */
	.set INITRD, 0x6000000
	.set PML4, SELF + 0x10000	/* until the kernel has tables of its own */
	.set PDPT, PML4 + 0x1000
	.set PD, PML4 + 0x2000
	.set RAMDISK_IMAGE, 0x218	/* of struct boot_params */
	.set RAMDISK_SIZE, 0x21c
	.set BOOT_CS, 0x10
	.set BOOT_DS, 0x18

	.code32
	.globl _start
_start:
	cli
	cld
	movl $INITRD, RAMDISK_IMAGE(%esi)
	movl initrd_size, %eax
	movl %eax, RAMDISK_SIZE(%esi)

	xorl %eax, %eax
	movl $PML4, %edi
	movl $(2 * 0x1000 / 4), %ecx
	rep stosl
	movl $(PDPT + 3), PML4		/* present, writable */
	movl $(PD + 3), PDPT
	movl $PD, %edi
	movl $0x83, %eax		/* and of 2 MiB */
1:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	cmpl $(PD + 0x1000), %edi
	jne 1b

	lgdt gdtr
	movl %cr4, %eax
	orl $(1 << 5), %eax		/* PAE */
	movl %eax, %cr4
	movl $PML4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER */
	rdmsr
	orl $(1 << 8), %eax		/* LME */
	wrmsr
	movl %cr0, %eax
	orl $(1 << 31), %eax		/* PG */
	movl %eax, %cr0
	ljmp $BOOT_CS, $2f

	.code64
2:	movl $BOOT_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %esi, %esi
	movl $KERNEL, %eax
	jmp *%rax

	.balign 8
gdt:	.quad 0, 0
	.quad 0x00af9a000000ffff	/* BOOT_CS: 64-bit code */
	.quad 0x00cf92000000ffff	/* BOOT_DS */
gdtr:	.word . - gdt - 1
	.long gdt
initrd_size:
