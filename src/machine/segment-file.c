/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes and reads the file by which the machines of a job find the hub that the job's supervisor made. segment.c calls
 * this, `status`, which shows addresses, and remove.c. The file is where only root of the host can write, but may be older than
 * its process: start times must agree before a descriptor is used. */

#include "machine/segment-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/record.h"
#include "base/string.h"
#include "network/nat.h"

/* The content of the file. */
typedef struct SegmentFile {
        uint64_t pid, start, fd; /* of the supervisor, and its descriptor of the hub */
        char *network, *network6;
        uint64_t mtu, host_index;
        bool ipv6;
} SegmentFile;

#define FIELD(name, kind) \
        { #name, kind, offsetof(SegmentFile, name), true }

static const RecordField fields[] = {
        FIELD(pid, RECORD_NUMBER),
        FIELD(start, RECORD_NUMBER),
        FIELD(fd, RECORD_NUMBER),
        FIELD(network, RECORD_STRING),
        FIELD(network6, RECORD_STRING),
        FIELD(mtu, RECORD_NUMBER),
        FIELD(ipv6, RECORD_BOOL),
        { "host_index", RECORD_NUMBER, offsetof(SegmentFile, host_index), false },
        { 0 },
};

static void segment_file_done(SegmentFile *file) {
        free(file->network);
        free(file->network6);
}

int segment_file_save(const MachineDirectory *directory, const Hub *hub) {
        char network[IP_NETWORK_TEXT_MAX], network6[IP_NETWORK_TEXT_MAX];
        _cleanup_free_ char *text = NULL;
        SegmentFile file = {
                .pid = (uint64_t) getpid(),
                .fd = (uint64_t) hub->netns_fd,
                .network = network,
                .network6 = network6,
                .mtu = hub->mtu,
                .host_index = hub->host_index,
                .ipv6 = hub->ipv6,
        };

        (void) ip_network_format(&hub->block.network, network);
        (void) ip_network_format(&hub->block.network6, network6);
        int r = process_start_time(getpid(), &file.start);
        if (r < 0)
                return r;
        r = record_format(fields, &file, &text);
        return r < 0 ? r : machine_file_write(directory, MACHINE_FILE_NETWORK, text);
}

/* Opens the supervisor's descriptor of the hub. */
static int open_hub(const SegmentFile *file) {
        char path[64];
        uint64_t start;

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) file->pid, (int) file->fd);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        /* Only after the descriptor was opened: if the process is still the right one, so was the descriptor. */
        int r = process_start_time((pid_t) file->pid, &start);
        if (r < 0)
                return r;
        return start == file->start ? TAKE_FD(fd) : -ESRCH;
}

static int load(const MachineDirectory *directory, SegmentFile *ret, AddressBlock *ret_block) {
        _cleanup_free_ char *text = machine_file_read(directory, MACHINE_FILE_NETWORK);

        if (!text)
                return -ETIMEDOUT;
        int r = record_parse(fields, text, strlen(text), ret);
        if (r < 0)
                return r;
        *ret_block = (AddressBlock){ 0 };
        if (ip_network_parse(ret->network, &ret_block->network) < 0 ||
            ip_network_parse(ret->network6, &ret_block->network6) < 0 || ret->pid > INT32_MAX || ret->fd > INT32_MAX ||
            ret->host_index > UINT32_MAX)
                return -EBADMSG;
        memcpy(&ret_block->base, ret_block->network.address, sizeof(ret_block->base));
        ret_block->base = ntohl(ret_block->base);
        return 0;
}

int segment_file_join(const MachineDirectory *directory, uint64_t timeout_usec, Hub *ret, Problem *reterr_problem) {
        _cleanup_(segment_file_done) SegmentFile file = { 0 };
        AddressBlock block;

        machine_file_wait(directory, MACHINE_FILE_NETWORK, timeout_usec);
        int r = load(directory, &file, &block);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot find the job's network: %m");
        int fd = open_hub(&file);
        if (fd < 0)
                return problem_set(reterr_problem, fd, "cannot open the job's network: %m");
        return hub_join(fd, &block, file.ipv6, (uint32_t) file.mtu, ret, reterr_problem);
}

const char *segment_file_address(const MachineDirectory *directory, unsigned number,
                                 char buffer[static IP_NETWORK_TEXT_MAX]) {
        _cleanup_(segment_file_done) SegmentFile file = { 0 };
        AddressBlock block;

        if (number > BLOCK_MACHINE_MAX || load(directory, &file, &block) < 0)
                return NULL;
        const IpNetwork address = block_address(&block, AF_INET, number, true);
        (void) ip_network_format(&address, buffer);
        *strchrnul(buffer, '/') = 0;
        return buffer;
}

void segment_file_forget(const MachineDirectory *directory) {
        _cleanup_(segment_file_done) SegmentFile file = { 0 };
        AddressBlock block;

        if (load(directory, &file, &block) >= 0 && file.host_index > 0)
                nat_forget(&block, (unsigned) file.host_index);
}
