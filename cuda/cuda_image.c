// SPDX-License-Identifier: MIT
/*
 * cuda_image.c - does a module's image stay within its length?
 *
 * The driver is given an address and finds out by itself what is there and how
 * long it is. So an image must be what its format says and nothing else that the
 * driver would take, such as the linker's wrapper, which holds a pointer; and what
 * its headers point to must lie in it. What is wrong beyond that the driver must
 * find: it works for one guest, in a process of its own.
 *
 * Pure functions of a private copy of the image; any thread.
 */
#include <elf.h>
#include <string.h>

#include "engine_cuda.h"

#define FATBIN_MAGIC	0xba55ed50u
#define FATBIN_VERSION	1
/* Of an entry's headers: all that nvcc writes are larger. */
#define ENTRY_LEAST	32
#define ENTRY_ELF	2

/* As nvcc writes them; after it come entries. */
struct fatbin_header {
	uint32_t magic;
	uint16_t version;
	uint16_t header_size;
	uint64_t size;			/* of what follows */
};

struct fatbin_entry {
	uint16_t kind;
	uint16_t attributes;
	uint32_t header_size;
	uint64_t size;			/* of what follows */
};

static bool within(uint64_t at, uint64_t len, uint64_t bytes)
{
	return at <= bytes && len <= bytes - at;
}

/* `n` headers of `size` octets each. */
static bool table_ok(uint64_t at, uint64_t n, uint64_t size, size_t least,
		     uint64_t bytes)
{
	return !n || (size >= least && within(at, n * size, bytes));
}

static const char *sections_refused(const Elf64_Ehdr *h,
				    const unsigned char *image, size_t bytes)
{
	for (unsigned int i = 0; i < h->e_shnum; i++) {
		Elf64_Shdr s;

		memcpy(&s, image + h->e_shoff + (uint64_t)i * h->e_shentsize,
		       sizeof(s));
		if (s.sh_type == SHT_NOBITS)
			continue;
		if (!within(s.sh_offset, s.sh_size, bytes))
			return "a section of the cubin reaches beyond its end";
		/* Names end where it does. */
		if (s.sh_type == SHT_STRTAB && s.sh_size &&
		    image[s.sh_offset + s.sh_size - 1])
			return "a string of the cubin has no end";
	}
	return NULL;
}

static const char *segments_refused(const Elf64_Ehdr *h,
				    const unsigned char *image, size_t bytes)
{
	for (unsigned int i = 0; i < h->e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, image + h->e_phoff + (uint64_t)i * h->e_phentsize,
		       sizeof(p));
		if (!within(p.p_offset, p.p_filesz, bytes))
			return "a segment of the cubin reaches beyond its end";
	}
	return NULL;
}

static const char *elf_refused(const unsigned char *image, size_t bytes)
{
	const char *why;
	Elf64_Ehdr h;

	if (bytes < sizeof(h) || memcmp(image, ELFMAG, SELFMAG))
		return "not a cubin: no ELF header";
	memcpy(&h, image, sizeof(h));
	if (h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB)
		return "not a cubin: not 64 bits, little-endian";
	if (!table_ok(h.e_shoff, h.e_shnum, h.e_shentsize, sizeof(Elf64_Shdr),
		      bytes) ||
	    !table_ok(h.e_phoff, h.e_phnum, h.e_phentsize, sizeof(Elf64_Phdr),
		      bytes))
		return "a header of the cubin reaches beyond its end";
	/* 0 sections with an offset: their number would be in one of them. */
	if (!h.e_shnum || h.e_shstrndx >= h.e_shnum)
		return "the cubin has no names of sections";
	why = sections_refused(&h, image, bytes);
	return why ? why : segments_refused(&h, image, bytes);
}

static const char *fatbin_refused(const unsigned char *image, size_t bytes)
{
	struct fatbin_header h;
	struct fatbin_entry e;
	const char *why = NULL;
	uint64_t end;

	if (bytes < sizeof(h))
		return "not a fat binary: too short";
	memcpy(&h, image, sizeof(h));
	if (h.magic != FATBIN_MAGIC || h.version != FATBIN_VERSION ||
	    h.header_size != sizeof(h))
		return "not a fat binary: no header of one";
	if (!within(sizeof(h), h.size, bytes))
		return "the fat binary is longer than its image";
	end = sizeof(h) + h.size;
	for (uint64_t at = sizeof(h); at < end && !why;
	     at += e.header_size + e.size) {
		if (!within(at, ENTRY_LEAST, end))
			return "an entry of the fat binary is cut off";
		memcpy(&e, image + at, sizeof(e));
		if (e.header_size < ENTRY_LEAST ||
		    !within(at, e.header_size, end) ||
		    !within(at + e.header_size, e.size, end))
			return "an entry of the fat binary reaches beyond its end";
		/* Unless it is compressed. */
		if (e.kind == ENTRY_ELF && e.size >= SELFMAG &&
		    !memcmp(image + at + e.header_size, ELFMAG, SELFMAG))
			why = elf_refused(image + at + e.header_size, e.size);
	}
	return why;
}

/* Text begins with a directive, a comment, or space before these. */
static const char *ptx_refused(const unsigned char *image, size_t bytes)
{
	return bytes && strchr("./ \t\r\n", image[0]) && image[0] ?
		       NULL :
		       "not PTX: does not begin with a directive or a comment";
}

const char *image_refused(uint32_t format, const unsigned char *image,
			  size_t bytes)
{
	switch (format) {
	case VGPU_MODULE_PTX:
		return ptx_refused(image, bytes);
	case VGPU_MODULE_CUBIN:
		return elf_refused(image, bytes);
	case VGPU_MODULE_FATBIN:
		return fatbin_refused(image, bytes);
	default:
		return "no such format of modules";
	}
}
