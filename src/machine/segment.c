/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Carries out what the plan says about the network: the hub of the job's machines, and the container's interface. Only
 * supervise.c calls this. The container's first process is ours, and has not run anything of the image yet when it hands the
 * network namespace over; still it is looked at. */

#include "machine/segment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/string.h"
#include "network/nat.h"
#include "network/netns.h"
#include "wire/wire.h"

void segment_done(Segment *segment) {
        hub_done(&segment->hub);
        closep(&segment->agent_fd);
        closep(&segment->inside_fd);
}

static int open_socket(Segment *segment, Problem *reterr_problem) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return problem_set(reterr_problem, -errno, "cannot make a socket: %m");
        segment->agent_fd = ends[0];
        segment->inside_fd = ends[1];
        return 0;
}

int segment_open(Segment *segment, Problem *reterr_problem) {
        const Machine *machine = segment->machine;

        if (machine->settings.network != NETWORK_PRIVATE)
                return 0;
        segment->number = BLOCK_JOB;
        int r = hub_open(machine->settings.network_pool, machine->name, true, &segment->hub, reterr_problem);
        return r < 0 ? r : open_socket(segment, reterr_problem);
}

int segment_connect(Segment *segment, Problem *reterr_problem) {
        if (segment->hub.netns_fd < 0)
                return 0;
        int r = nat_connect(&segment->hub, reterr_problem);
        return r == NAT_BLOCKED ? -EHOSTUNREACH : r;
}

static int add_line(char **text, const IpNetwork *address, const char *names) {
        char buffer[IP_NETWORK_TEXT_MAX];

        (void) ip_network_format(address, buffer);
        *strchr(buffer, '/') = 0;
        char *longer = NULL;
        int r = string_printf(&longer, "%s%s\t%s\n", *text ? *text : "", buffer, names);
        if (r < 0)
                return r;
        free(*text);
        *text = longer;
        return 0;
}

/* The lines of /etc/hosts for a machine of the segment. */
static int add_host(const Segment *segment, unsigned number, const char *names, char **text) {
        IpNetwork address = block_address(&segment->hub.block, AF_INET, number, true);
        IpNetwork address6 = block_address(&segment->hub.block, AF_INET6, number, true);

        int r = add_line(text, &address, names);
        return r < 0 || !segment->hub.ipv6 ? r : add_line(text, &address6, names);
}

static int answer(const Segment *segment) {
        const Machine *machine = segment->machine;
        _cleanup_free_ char *text = NULL;

        int r = add_host(segment, segment->number, machine->hostname ? machine->hostname : machine->name, &text);
        return r < 0 ? r : wire_send(segment->agent_fd, WIRE_CONNECTED, text, strlen(text) + 1, NULL, 0);
}

int segment_serve(Segment *segment, Problem *reterr_problem) {
        WireMessage message;

        int r = wire_receive(segment->agent_fd, &message);
        if (r == 0 || r == -ECONNRESET) {
                r = 1;
                goto finish;
        }
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot hear from the container's first process: %m");
        if (message.type != WIRE_NETWORK || message.n_fds != 1) {
                wire_message_done(&message);
                return problem_set(reterr_problem, -EBADMSG,
                                   "the container's first process does not say which network "
                                   "namespace it has");
        }
        r = hub_plug(&segment->hub, message.fds[0], segment->number, reterr_problem);
        wire_message_done(&message);
        if (r < 0)
                return r;
        r = answer(segment);
        if (r < 0 && r != -EPIPE && r != -ECONNRESET)
                return problem_set(reterr_problem, r, "cannot answer the container's first process: %m");
        r = 0;
finish:
        closep(&segment->agent_fd);
        segment->agent_fd = -EBADF;
        return r;
}
