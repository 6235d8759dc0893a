/* SPDX-License-Identifier: MIT */
/*
 * remote_proto.h - an engine over a byte stream: the frames, version 2
 *
 * This header is the specification: the remote engine, vgpu-engined and the
 * tests are built from it, and a second implementation of either end can be
 * written from it alone. The words "must" and "may" are meant as in RFC 2119.
 *
 * The client is the end that has jobs; the server is the end that has an
 * engine. Between them is a stream of octets that keeps their order and loses
 * none: a socket, a virtio-serial port, a serial line in raw mode. All fields
 * are little-endian, reserved fields must be 0.
 *
 ******************************************************************************
 *                               Synchronisation
 ******************************************************************************
 *
 * A byte stream need not have connections: a client may die in the middle of
 * a frame, and what comes next is the HELLO of another one. Even a socket can
 * be such a stream, when QEMU holds it for a guest's virtio-serial port. So:
 *
 *  o A session begins with a HELLO, at any time. The server ends the session
 *    before it: jobs that came earlier get no answer any more.
 *  o HELLO carries a random nonce, which HOLD, WELCOME and REFUSED echo. The
 *    client discards all octets before the first such frame with its nonce.
 *    The nonce must not be guessable, since the octets discarded may be data
 *    that somebody else chose.
 *  o On a character device the client sends REMOTE_FILLER octets 0 before
 *    HELLO, in small portions, while it reads. They end any partial frame that
 *    the server still waits for. A job that they complete is not run: it lacks
 *    its mark.
 *  o JOB and DONE end with a mark: the nonce of their session. Who goes on in
 *    another one's half-sent frame, as a server that has taken the place of one
 *    that died, does not know it: such a frame breaks a rule.
 *  o The server skips octets 0 before a frame.
 *  o A frame that breaks a rule puts the server out of sync. It sends ERROR,
 *    and discards all octets before the next HELLO. On a socket it closes the
 *    connection when none came within five seconds, or within REMOTE_FILLER
 *    octets and a HELLO.
 *  o Before the first HELLO of a stream the server must send nothing, but on a
 *    socket REFUSED: a client that did not notice that the server is another
 *    process may wait for the rest of an answer, and would take this for it.
 *  o A frame that breaks a rule ends the session for the client; it may connect
 *    again.
 *
 *   client                                     server
 *
 *   (REMOTE_FILLER octets 0)
 *   HELLO nonce, version     ------------>
 *                            <------------     HOLD nonce: "wait for my engine",
 *                                              once at most
 *                            <------------     WELCOME nonce, facts
 *   JOB id 1, MEM_ALLOC 7    ------------>
 *   JOB id 2, COPY to 7      ------------>
 *                            <------------     DONE id 1: its address
 *   PING id 3                ------------>
 *                            <------------     PONG id 3
 *                            <------------     DONE id 2
 *   FREE memory 7            ------------>
 *
 ******************************************************************************
 *                                   Rules
 ******************************************************************************
 *
 *  o A client must not have more jobs without an answer than WELCOME's window.
 *    A server reads no further while it has no room; it never drops a job.
 *  o Jobs of one stream take effect in the order in which they came, and are
 *    answered in that order. A client need not wait for an answer before it
 *    sends the next job of the stream. Streams are independent of each other;
 *    answers of several come in any order.
 *  o Each JOB gets one DONE with its id, in the same session, or none where the
 *    session ended. A client may send the job again in its next session, if it
 *    is one that may run twice and names nothing that ended with the session.
 *  o Device memory, modules and functions have numbers that the client picks, 1
 *    ... REMOTE_NUMBERS - 1, each of the three kinds its own. The job that makes
 *    one takes its number, whatever comes of it, until FREE; but FUNCTION_GET
 *    that fails gives it back when it is answered, and a function's number
 *    goes with its module. A job on the same stream may name at once what the
 *    jobs before it make; one on another stream when that was answered.
 *  o All that a session made ends with it, and its numbers with it. What the
 *    session's jobs still use is given back when they are done.
 *  o There are no events and no fences here: a client has both when it waits
 *    for answers.
 *  o After DONE with VGPU_RSP_DEVICE_LOST, or with FAULT or TIMEOUT where the
 *    engine is not "cpu", which survives those, the engine is of no use any
 *    more: all jobs in flight are answered, and the server closes.
 *  o A server answers PING at once, whatever its engine does. It may end a
 *    launch that takes longer than it allows: TIMEOUT.
 *  o A frame whose type the server does not know is skipped and answered with
 *    ERROR, reason TYPE, its id and the type's number.
 *  o Each end treats the other one as hostile: it checks every length before
 *    it reads the payload, and every field before it uses it.
 *
 ******************************************************************************
 *                                   Frames
 ******************************************************************************
 *
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |               magic               | 4
 * +--------+--------+--------+--------+
 * |       type      |    reserved     | 8
 * +--------+--------+--------+--------+
 * |               length              | 12
 * +--------+--------+--------+--------+
 * |              reserved             | 16
 * +--------+--------+--------+--------+
 * |                 id                | 24
 * +--------+--------+--------+--------+
 * |              payload              | 24 + length
 * +--------+--------+--------+--------+
 *
 * magic - uint32_t, REMOTE_MAGIC
 * type - uint16_t, enum remote_type
 * length - uint32_t, octets of payload, at most REMOTE_PAYLOAD_MAX, and as the
 *      list below says
 * id - uint64_t, chosen by the client, echoed in the answer. 0 in HELLO, HOLD,
 *      WELCOME, REFUSED, and in an ERROR that answers no frame
 *
 * HELLO, HOLD, WELCOME's first 20 octets, and REFUSED stay as they are in all
 * versions.
 */
#ifndef VGPU_CUDA_REMOTE_PROTO_H
#define VGPU_CUDA_REMOTE_PROTO_H

#include <stddef.h>
#include <stdint.h>

#define REMOTE_VERSION		2
#define REMOTE_MAGIC		0x45506776u	/* "vgPE" */
#define REMOTE_NONCE		16
/* Octets at the end of JOB and DONE. */
#define REMOTE_MARK		REMOTE_NONCE
/* Octets of data in one JOB or DONE. */
#define REMOTE_DATA_MAX		(256 << 10)
#define REMOTE_PAYLOAD_MAX	(96 + REMOTE_DATA_MAX + REMOTE_MARK)
/* The longest frame: what may be missing of a partial one. */
#define REMOTE_FILLER		(24 + REMOTE_PAYLOAD_MAX)
#define REMOTE_WINDOW_MAX	64
#define REMOTE_STREAMS		256
#define REMOTE_NUMBERS		32768

/*
 * X(NAME, type, "name", to, opens, shortest payload, longest payload)
 *
 * to: which end receives it. opens: it may end a search for the next frame.
 */
#define REMOTE_TYPE_LIST(X)						  \
	X(HELLO,      1, "hello",      SERVER, 1,  32,  32)		  \
	X(HOLD,       2, "hold",       CLIENT, 1,  16,  16)		  \
	X(WELCOME,    3, "welcome",    CLIENT, 1, 944, 944)		  \
	X(REFUSED,    4, "refused",    CLIENT, 1, 280, 280)		  \
	X(ERROR,      5, "error",      CLIENT, 0, 264, 264)		  \
	X(PING,       6, "ping",       SERVER, 0,   0,   0)		  \
	X(PONG,       7, "pong",       CLIENT, 0,   0,   0)		  \
	X(INFO,       8, "info",       SERVER, 0,   0,   0)		  \
	X(INFO_IS,    9, "info-is",    CLIENT, 0,  32,  32)		  \
	X(JOB,       16, "job",        SERVER, 0, 112, REMOTE_PAYLOAD_MAX) \
	X(DONE,      17, "done",       CLIENT, 0,  40, 40 + REMOTE_DATA_MAX) \
	X(FREE,      18, "free",       SERVER, 0,   8,   8)

enum remote_type {
#define REMOTE_TYPE_ENUM(name, type, str, to, opens, min, max)	\
	REMOTE_##name = type,
	REMOTE_TYPE_LIST(REMOTE_TYPE_ENUM)
#undef REMOTE_TYPE_ENUM
};

enum remote_end { REMOTE_SERVER, REMOTE_CLIENT };

struct remote_header {
	uint32_t magic;
	uint16_t type;
	uint16_t reserved0;
	uint32_t length;
	uint32_t reserved1;
	uint64_t id;
};

/*
 * HELLO - begins a session
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |               nonce               | 16
 * +--------+--------+--------+--------+
 * |              version              | 20
 * +--------+--------+--------+--------+
 * |              reserved             | 32
 * +--------+--------+--------+--------+
 *
 * nonce - random octets
 * version - uint32_t, the one that the client speaks. A server that does not
 *      speak it answers REFUSED, reason VERSION.
 */
struct remote_hello {
	uint8_t nonce[REMOTE_NONCE];
	uint32_t version;
	uint32_t reserved[3];
};

/*
 * HOLD - the server is there and opens its engine; WELCOME or REFUSED follows
 * within a minute
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |               nonce               | 16
 * +--------+--------+--------+--------+
 */
struct remote_hold {
	uint8_t nonce[REMOTE_NONCE];
};

/*
 * INFO_IS - answers INFO: what changes
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |             mem_total             | 8
 * +--------+--------+--------+--------+
 * |             mem_free              | 16
 * +--------+--------+--------+--------+
 * |          temperature_mc           | 20
 * +--------+--------+--------+--------+
 * |             power_mw              | 24
 * +--------+--------+--------+--------+
 * |            utilization            | 28
 * +--------+--------+--------+--------+
 * |              reserved             | 32
 * +--------+--------+--------+--------+
 *
 * As struct vgpu_engine_info; 0 where unknown.
 */
struct remote_info {
	uint64_t mem_total;
	uint64_t mem_free;
	uint32_t temperature_mc;
	uint32_t power_mw;
	uint32_t utilization;
	uint32_t reserved;
};

/*
 * WELCOME - the session has begun
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |               nonce               | 16
 * +--------+--------+--------+--------+
 * |              version              | 20
 * +--------+--------+--------+--------+
 * |              window               | 24
 * +--------+--------+--------+--------+
 * |            capabilities           | 32
 * +--------+--------+--------+--------+
 * |              memory               | 40
 * +--------+--------+--------+--------+
 * |              reserved             | 48
 * +--------+--------+--------+--------+
 * |               info                | 80
 * +--------+--------+--------+--------+
 * |   engine, gpu_name, gpu_uuid,     |
 * |   compute_capability,             |
 * |   driver_version: 96 each         | 560
 * +--------+--------+--------+--------+
 * |        builtins, tuning: 192 each | 944
 * +--------+--------+--------+--------+
 *
 * version - uint32_t, the client's
 * window - uint32_t, jobs without an answer, 1 ... REMOTE_WINDOW_MAX
 * capabilities - uint64_t, REMOTE_CAP_*; a client ignores bits that it does not
 *      know, and sends no frame whose bit is not set
 * info - struct remote_info
 * memory and the texts - as struct vgpu_engine_facts: printable ASCII, ending
 *      with a NUL, zeros behind it
 */
#define REMOTE_CAP_BUILTIN	(UINT64_C(1) << 0)	/* JOB with all else */
#define REMOTE_CAP_INFO		(UINT64_C(1) << 1)	/* INFO */
/* JOB with MODULE_LOAD, FUNCTION_GET, LAUNCH */
#define REMOTE_CAP_MODULES	(UINT64_C(1) << 2)

struct remote_welcome {
	uint8_t nonce[REMOTE_NONCE];
	uint32_t version;
	uint32_t window;
	uint64_t capabilities;
	uint64_t memory;
	uint64_t reserved;
	struct remote_info info;
	char engine[96];
	char gpu_name[96];
	char gpu_uuid[96];
	char compute_capability[96];
	char driver_version[96];
	char builtins[192];
	char tuning[192];
};

/*
 * REFUSED - no session
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |               nonce               | 16
 * +--------+--------+--------+--------+
 * |               reason              | 20
 * +--------+--------+--------+--------+
 * |              version              | 24
 * +--------+--------+--------+--------+
 * |                text               | 280
 * +--------+--------+--------+--------+
 *
 * nonce - zeros where the server refuses a connection before it read HELLO
 * reason - uint32_t, enum remote_reason
 * version - uint32_t, the one that the server speaks
 * text - for people, as the texts in WELCOME
 */
enum remote_reason {
	REMOTE_REASON_VERSION = 1,	/* version not spoken */
	REMOTE_REASON_CLIENTS = 2,	/* too many clients */
	REMOTE_REASON_ENGINE = 3,	/* the engine cannot be opened */
	REMOTE_REASON_FRAME = 4,	/* a frame broke a rule */
	REMOTE_REASON_TYPE = 5,		/* a type that is not known */
};

#define REMOTE_WHY		256

struct remote_refused {
	uint8_t nonce[REMOTE_NONCE];
	uint32_t reason;
	uint32_t version;
	char text[REMOTE_WHY];
};

/*
 * ERROR - a frame was not taken
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |               reason              | 4
 * +--------+--------+--------+--------+
 * |                type               | 8
 * +--------+--------+--------+--------+
 * |                text               | 264
 * +--------+--------+--------+--------+
 *
 * reason - uint32_t, enum remote_reason: FRAME (out of sync) or TYPE
 * type - uint32_t, the type of that frame, where it is known
 * text - as in REFUSED
 */
struct remote_error {
	uint32_t reason;
	uint32_t type;
	char text[REMOTE_WHY];
};

/*
 * JOB - something to do
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |        op       |      kernel     | 4
 * +--------+--------+--------+--------+
 * |               stream              | 8
 * +--------+--------+--------+--------+
 * |               number              | 12
 * +--------+--------+--------+--------+
 * |               param               | 16
 * +--------+--------+--------+--------+
 * |               width               | 20
 * +--------+--------+--------+--------+
 * |               room                | 24
 * +--------+--------+--------+--------+
 * |       operand[0]: 24 octets       | 48
 * +--------+--------+--------+--------+
 * |       operand[1]                  | 72
 * +--------+--------+--------+--------+
 * |       operand[2]                  | 96
 * +--------+--------+--------+--------+
 * |       data                        | 96 + data
 * +--------+--------+--------+--------+
 * |       mark                        | 112 + data
 * +--------+--------+--------+--------+
 *
 * An operand:
 * +--------+--------+--------+--------+
 * |              memory               | 4
 * +--------+--------+--------+--------+
 * |             reserved              | 8
 * +--------+--------+--------+--------+
 * |              offset               | 16
 * +--------+--------+--------+--------+
 * |              count                | 24
 * +--------+--------+--------+--------+
 *
 * op - uint16_t, enum vgpu_op, one of those below
 * stream - uint32_t, 0 ... REMOTE_STREAMS - 1
 * memory - uint32_t, its number; 0: the operand is data of this frame, if the
 *      job reads it, or of its answer
 * offset, count - uint64_t, as in struct vgpu_engine_operand: octets from the
 *      memory's start, all of the operand lies in it. Elements of 4 octets for
 *      BUILTIN, whose offset is a multiple of 4; else octets
 * data - at most REMOTE_DATA_MAX octets, as many as the operation says
 * mark - the session's nonce
 *
 * Operations mean what vgpuif.h says of them. What one is not said to use is 0.
 *
 * BUILTIN	kernel, param, operand[]. For VECTOR_ADD all operands may be
 *	data, of the same count, at least 1: the two inputs one after the other
 *	in the frame, the sum in the answer. It is element by element, so
 *	a client cuts a large job into parts. All other operands are memory.
 *	SGEMM's data is a struct vgpu_sgemm. DEBUG_FAULT has no operands.
 * MEM_ALLOC	number; operand[0].count: octets. The answer's value: its
 *	address, a multiple of 256 and not 0.
 * COPY		operand[0] (to), operand[1] (from), of the same count, at least 1.
 *	At most one is data, and then one of at most REMOTE_DATA_MAX octets.
 * FILL		operand[0], in memory; param: the pattern; width.
 * MODULE_LOAD	number; param: the format; operand[0].count: octets of the
 *	image; data: those from operand[0].offset on, and room, with the last of
 *	them: octets of the compiler's log that the answer may have. The parts
 *	of an image come in order on one stream, with no part of another image
 *	between, and the last one is answered before the next image begins. The
 *	one that breaks off is forgotten with its number. The answer to the last
 *	part has the log, whatever the status: text without a NUL.
 * FUNCTION_GET	number; param: the module; data: the name, at most
 *	VGPU_MAX_KERNEL_NAME octets of printable ASCII; room: a multiple of 4.
 *	The answer's value: as in FUNCTION_GET's response; its data: struct
 *	vgpu_param each, all of them or as many as there is room for.
 * LAUNCH	number: the function; param: shared; data: struct remote_launch.
 *
 * X(NAME, operands, bits of those that it reads, of those that it writes)
 */
#define REMOTE_KERNEL_LIST(X)		\
	X(VECTOR_ADD,  3, 3, 4)		\
	X(SAXPY,       2, 3, 2)		\
	X(SGEMM,       3, 7, 4)		\
	X(REDUCE_SUM,  2, 1, 2)		\
	X(DEBUG_FAULT, 0, 0, 0)

struct remote_operand {
	uint32_t memory;
	uint32_t reserved;
	uint64_t offset;
	uint64_t count;
};

struct remote_job {
	uint16_t op;
	uint16_t kernel;
	uint32_t stream;
	uint32_t number;
	uint32_t param;
	uint32_t width;
	uint32_t room;
	struct remote_operand operand[3];
};

/*
 * LAUNCH's data
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                grid               | 12
 * +--------+--------+--------+--------+
 * |                block              | 24
 * +--------+--------+--------+--------+
 * |              args_len             | 28
 * +--------+--------+--------+--------+
 * |             nr_relocs             | 32
 * +--------+--------+--------+--------+
 * |           the arguments           | 32 + args_len
 * +--------+--------+--------+--------+
 * |  at the next multiple of 8: the   |
 * |       relocations, 16 each        |
 * +--------+--------+--------+--------+
 *
 * grid, block - uint32_t x 3, each at least 1
 * args_len - uint32_t, at most VGPU_MAX_ARGS; octets up to the next multiple of
 *      8 are 0
 * nr_relocs - uint32_t, at most VGPU_MAX_RELOCS
 *
 * A relocation:
 * +--------+--------+--------+--------+
 * |              memory               | 4
 * +--------+--------+--------+--------+
 * |        at       |     reserved    | 8
 * +--------+--------+--------+--------+
 * |              offset               | 16
 * +--------+--------+--------+--------+
 *
 * memory - uint32_t, its number
 * at - uint16_t, a multiple of 8 with at + 8 <= args_len: where the arguments
 *      get the address of that octet of the memory
 * offset - uint64_t, 0 ... the memory's length
 */
struct remote_launch {
	uint32_t grid[3];
	uint32_t block[3];
	uint32_t args_len;
	uint32_t nr_relocs;
};

struct remote_reloc {
	uint32_t memory;
	uint16_t at;
	uint16_t reserved;
	uint64_t offset;
};

/*
 * DONE - answers JOB
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |      status     |    reserved     | 4
 * +--------+--------+--------+--------+
 * |              reserved             | 8
 * +--------+--------+--------+--------+
 * |              time_ns              | 16
 * +--------+--------+--------+--------+
 * |               value               | 24
 * +--------+--------+--------+--------+
 * |               data                | 24 + data
 * +--------+--------+--------+--------+
 * |               mark                | 40 + data
 * +--------+--------+--------+--------+
 *
 * status - uint16_t, enum vgpu_status
 * time_ns - uint64_t, nanoseconds the engine was busy with it
 * value - uint64_t, as the operation says, else 0, and 0 where status is not
 *      VGPU_RSP_OK
 * data - there with VGPU_RSP_OK alone, but for a log
 * mark - the session's nonce
 */
struct remote_done {
	uint16_t status;
	uint16_t reserved0;
	uint32_t reserved1;
	uint64_t time_ns;
	uint64_t value;
};

/*
 * FREE - what the number stands for is not used any more
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |       kind      |    reserved     | 4
 * +--------+--------+--------+--------+
 * |               number              | 8
 * +--------+--------+--------+--------+
 *
 * kind - uint16_t, REMOTE_KIND_MEMORY or REMOTE_KIND_MODULE
 * number - uint32_t
 *
 * Gets no answer. The number, and those of the module's functions, may be used
 * again at once; jobs that name it and came before go on undisturbed. One that
 * stands for nothing may be freed, too.
 */
enum remote_kind_of_number {
	REMOTE_KIND_MEMORY,
	REMOTE_KIND_MODULE,
	REMOTE_KIND_FUNCTION,
	REMOTE_NR_KINDS
};

struct remote_free {
	uint16_t kind;
	uint16_t reserved;
	uint32_t number;
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the structures are the frames");
_Static_assert(sizeof(struct remote_header) == 24, "header");
_Static_assert(offsetof(struct remote_header, type) == 4, "header.type");
_Static_assert(offsetof(struct remote_header, length) == 8, "header.length");
_Static_assert(offsetof(struct remote_header, id) == 16, "header.id");
_Static_assert(sizeof(struct remote_hello) == 32, "hello");
_Static_assert(offsetof(struct remote_hello, version) == 16, "hello.version");
_Static_assert(sizeof(struct remote_hold) == 16, "hold");
_Static_assert(sizeof(struct remote_info) == 32, "info");
_Static_assert(offsetof(struct remote_info, utilization) == 24, "utilization");
_Static_assert(sizeof(struct remote_welcome) == 944, "welcome");
_Static_assert(offsetof(struct remote_welcome, version) == 16, "welcome.version");
_Static_assert(offsetof(struct remote_welcome, window) == 20, "welcome.window");
_Static_assert(offsetof(struct remote_welcome, memory) == 32, "welcome.memory");
_Static_assert(offsetof(struct remote_welcome, info) == 48, "welcome.info");
_Static_assert(offsetof(struct remote_welcome, engine) == 80, "welcome.engine");
_Static_assert(offsetof(struct remote_welcome, builtins) == 560, "builtins");
_Static_assert(sizeof(struct remote_refused) == 280, "refused");
_Static_assert(offsetof(struct remote_refused, text) == 24, "refused.text");
_Static_assert(sizeof(struct remote_error) == 264, "error");
_Static_assert(sizeof(struct remote_job) == 96, "job");
_Static_assert(offsetof(struct remote_job, number) == 8, "job.number");
_Static_assert(offsetof(struct remote_job, room) == 20, "job.room");
_Static_assert(offsetof(struct remote_job, operand) == 24, "job.operand");
_Static_assert(sizeof(struct remote_operand) == 24, "operand");
_Static_assert(offsetof(struct remote_operand, offset) == 8, "operand.offset");
_Static_assert(sizeof(struct remote_launch) == 32, "launch");
_Static_assert(sizeof(struct remote_reloc) == 16, "reloc");
_Static_assert(offsetof(struct remote_reloc, offset) == 8, "reloc.offset");
_Static_assert(sizeof(struct remote_done) == 24, "done");
_Static_assert(offsetof(struct remote_done, time_ns) == 8, "done.time_ns");
_Static_assert(offsetof(struct remote_done, value) == 16, "done.value");
_Static_assert(sizeof(struct remote_free) == 8, "free");
_Static_assert(offsetof(struct remote_free, number) == 4, "free.number");

#endif /* VGPU_CUDA_REMOTE_PROTO_H */
