// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A virtual machine's side of a LUN that vhost-scsi exports, without a virtual machine: sets up a
 * virtqueue in memory of its own, hands it to /dev/vhost-scsi as if it were a guest's, and sends
 * SCSI commands to LUN 0.
 *
 * usage: vhost-client WWN TPGT inquiry                      vendor, product and revision on stdout
 *        vhost-client WWN TPGT read START BLOCKS            blocks of 512 bytes to stdout
 *        vhost-client WWN TPGT write START BLOCKS           ... from stdin
 *
 * Exit code: 0 done, 1 the LUN has refused or failed the command, 2 cannot do that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_scsi.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Control, event and one for requests; only the last is used. */
#define QUEUES		3
#define REQUESTS	2
#define RING_SIZE	64
#define RING_BYTES	65536
#define BLOCK		512
#define BLOCKS_AT_ONCE	128
#define WAIT_MS		60000

struct queue {
	struct vring ring;
	uint16_t used;
	int kick;
	int call;
};

/* What the kernel reads and writes, in one piece: addresses in it are the same to both. */
struct shared {
	uint8_t rings[QUEUES][RING_BYTES];
	uint8_t data[BLOCKS_AT_ONCE * BLOCK];
	struct virtio_scsi_cmd_req request;
	struct virtio_scsi_cmd_resp response;
};

struct command {
	const uint8_t *cdb;
	size_t cdb_length;
	uint32_t to_lun;	/* bytes of data[] that go there */
	uint32_t from_lun;	/* ... that come from there */
};

static struct queue queues[QUEUES];
static struct shared *shared;
static int vhost;
static uint8_t portal_group;

static void die(const char *what)
{
	fprintf(stderr, "vhost-client: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void vhost_call(unsigned long request, void *argument, const char *what)
{
	if (ioctl(vhost, request, argument) < 0)
		die(what);
}

static void describe(struct vring *ring, int index, void *address, uint32_t length, int flags)
{
	ring->desc[index].addr = (uintptr_t)address;
	ring->desc[index].len = length;
	ring->desc[index].flags = flags;
	ring->desc[index].next = index + 1;
}

/* The chain of one command, from descriptor 0: what the LUN reads goes before what it writes. */
static void queue_command(struct vring *ring, const struct command *command)
{
	int n = 0;

	describe(ring, n++, &shared->request, sizeof(shared->request), VRING_DESC_F_NEXT);
	if (command->to_lun)
		describe(ring, n++, shared->data, command->to_lun, VRING_DESC_F_NEXT);
	describe(ring, n++, &shared->response, sizeof(shared->response), VRING_DESC_F_WRITE);
	if (command->from_lun) {
		ring->desc[n - 1].flags |= VRING_DESC_F_NEXT;
		describe(ring, n++, shared->data, command->from_lun, VRING_DESC_F_WRITE);
	}
	ring->avail->ring[ring->avail->idx % RING_SIZE] = 0;
	__sync_synchronize();
	ring->avail->idx++;
	__sync_synchronize();
}

static uint16_t used_index(const struct queue *queue)
{
	return __atomic_load_n(&queue->ring.used->idx, __ATOMIC_ACQUIRE);
}

static void wait_for_completion(struct queue *queue)
{
	struct pollfd answer = { .fd = queue->call, .events = POLLIN };
	uint64_t count;

	while (used_index(queue) == queue->used) {
		if (poll(&answer, 1, WAIT_MS) <= 0) {
			errno = ETIMEDOUT;
			die("no completion");
		}
		if (read(queue->call, &count, sizeof(count)) < 0 && errno != EAGAIN)
			die("eventfd");
	}
	queue->used++;
}

/* The SCSI status, or -1 if the target did not take the command at all. */
static int send_command(const struct command *command)
{
	struct queue *queue = &queues[REQUESTS];
	uint64_t one = 1;

	memset(&shared->request, 0, sizeof(shared->request));
	memset(&shared->response, 0xff, sizeof(shared->response));
	shared->request.lun[0] = 1;
	shared->request.lun[1] = portal_group;
	shared->request.lun[2] = 0x40;
	memcpy(shared->request.cdb, command->cdb, command->cdb_length);
	queue_command(&queue->ring, command);
	if (write(queue->kick, &one, sizeof(one)) != sizeof(one))
		die("eventfd");
	wait_for_completion(queue);
	return shared->response.response ? -1 : shared->response.status;
}

/* Unit attentions come first and mean no harm. */
static int command_succeeds(const struct command *command)
{
	const uint8_t *sense = shared->response.sense;
	int status = 0;
	int try;

	for (try = 0; try < 4; try++) {
		status = send_command(command);
		if (status != 2 || (sense[2] & 0xf) != 6)
			break;
	}
	if (!status)
		return 1;
	fprintf(stderr, "vhost-client: response %u, status %u, sense %02x/%02x/%02x\n",
		shared->response.response, shared->response.status, sense[2], sense[12],
		sense[13]);
	return 0;
}

static void set_up_memory(void)
{
	struct vhost_memory *memory;

	memory = calloc(1, sizeof(*memory) + sizeof(struct vhost_memory_region));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!memory || shared == MAP_FAILED)
		die("memory");
	memory->nregions = 1;
	memory->regions[0].guest_phys_addr = (uintptr_t)shared;
	memory->regions[0].userspace_addr = (uintptr_t)shared;
	memory->regions[0].memory_size = (sizeof(*shared) + 4095) & ~4095UL;
	vhost_call(VHOST_SET_MEM_TABLE, memory, "VHOST_SET_MEM_TABLE");
	free(memory);
}

static void set_up_queue(unsigned int index)
{
	struct queue *queue = &queues[index];
	struct vring *ring = &queue->ring;
	struct vhost_vring_state state = { .index = index, .num = RING_SIZE };
	struct vhost_vring_file file = { .index = index };
	struct vhost_vring_addr address = { .index = index };

	vring_init(ring, RING_SIZE, shared->rings[index], 4096);
	address.desc_user_addr = (uintptr_t)ring->desc;
	address.avail_user_addr = (uintptr_t)ring->avail;
	address.used_user_addr = (uintptr_t)ring->used;
	vhost_call(VHOST_SET_VRING_NUM, &state, "VHOST_SET_VRING_NUM");
	state.num = 0;
	vhost_call(VHOST_SET_VRING_BASE, &state, "VHOST_SET_VRING_BASE");
	vhost_call(VHOST_SET_VRING_ADDR, &address, "VHOST_SET_VRING_ADDR");
	queue->kick = eventfd(0, 0);
	queue->call = eventfd(0, EFD_NONBLOCK);
	if (queue->kick < 0 || queue->call < 0)
		die("eventfd");
	file.fd = queue->kick;
	vhost_call(VHOST_SET_VRING_KICK, &file, "VHOST_SET_VRING_KICK");
	file.fd = queue->call;
	vhost_call(VHOST_SET_VRING_CALL, &file, "VHOST_SET_VRING_CALL");
}

static void connect_to(const char *wwn, struct vhost_scsi_target *target)
{
	uint64_t features;
	unsigned int i;

	vhost = open("/dev/vhost-scsi", O_RDWR);
	if (vhost < 0)
		die("/dev/vhost-scsi");
	vhost_call(VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER");
	vhost_call(VHOST_GET_FEATURES, &features, "VHOST_GET_FEATURES");
	features &= 1ULL << VIRTIO_F_VERSION_1;
	vhost_call(VHOST_SET_FEATURES, &features, "VHOST_SET_FEATURES");
	set_up_memory();
	for (i = 0; i < QUEUES; i++)
		set_up_queue(i);
	target->abi_version = 1;
	snprintf(target->vhost_wwpn, sizeof(target->vhost_wwpn), "%s", wwn);
	target->vhost_tpgt = portal_group;
	vhost_call(VHOST_SCSI_SET_ENDPOINT, target, "VHOST_SCSI_SET_ENDPOINT");
}

static int inquiry(void)
{
	static const uint8_t cdb[6] = { 0x12, 0, 0, 0, 96 };
	struct command command = { .cdb = cdb, .cdb_length = sizeof(cdb), .from_lun = 96 };

	if (!command_succeeds(&command))
		return 0;
	printf("%.28s\n", shared->data + 8);
	return 1;
}

static int transfer_piece(int writing, uint32_t start, uint32_t blocks)
{
	uint8_t cdb[10] = { writing ? 0x2a : 0x28, 0, start >> 24, start >> 16, start >> 8, start,
			    0, blocks >> 8, blocks };
	struct command command = { .cdb = cdb, .cdb_length = sizeof(cdb) };
	uint32_t bytes = blocks * BLOCK;

	if (writing) {
		command.to_lun = bytes;
		if (fread(shared->data, 1, bytes, stdin) != bytes)
			die("stdin is too short");
	} else {
		command.from_lun = bytes;
	}
	if (!command_succeeds(&command))
		return 0;
	if (!writing && fwrite(shared->data, 1, bytes, stdout) != bytes)
		die("stdout");
	return 1;
}

static int transfer(int writing, uint32_t start, uint32_t blocks)
{
	uint32_t piece;

	for (; blocks; start += piece, blocks -= piece) {
		piece = blocks < BLOCKS_AT_ONCE ? blocks : BLOCKS_AT_ONCE;
		if (!transfer_piece(writing, start, piece))
			return 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct vhost_scsi_target target = { 0 };
	const char *what = argc > 3 ? argv[3] : "";
	int done;

	if (!(argc == 4 && !strcmp(what, "inquiry")) &&
	    !(argc == 6 && (!strcmp(what, "read") || !strcmp(what, "write")))) {
		fputs("usage: vhost-client WWN TPGT inquiry|read|write [START BLOCKS]\n", stderr);
		return 2;
	}
	portal_group = strtoul(argv[2], NULL, 0);
	connect_to(argv[1], &target);
	if (argc == 4)
		done = inquiry();
	else
		done = transfer(*what == 'w', strtoul(argv[4], NULL, 0), strtoul(argv[5], NULL, 0));
	vhost_call(VHOST_SCSI_CLEAR_ENDPOINT, &target, "VHOST_SCSI_CLEAR_ENDPOINT");
	return fflush(stdout) || !done;
}
