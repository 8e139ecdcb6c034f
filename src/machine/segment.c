/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Carries out what the plan says about the network: the hub of the job's machines, and the container's interface.
 * Only supervise.c calls this. A service's machine joins the hub of its job. The container's first process is ours
 * and has run nothing of the image when it hands its network namespace over; even so, the descriptor must be checked. */

#include "machine/segment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "machine/resolver.h"
#include "machine/segment-file.h"
#include "network/backend.h"
#include "network/closed.h"
#include "network/egress.h"
#include "network/hub-rules.h"
#include "network/nft.h"
#include "network/relay.h"
#include "wire/wire.h"

void segment_done(Segment *segment) {
        hub_done(&segment->hub);
        names_done(&segment->names);
        closep(&segment->agent_fd);
        closep(&segment->inside_fd);
}

int segment_open_socket(Segment *segment, Problem *reterr_problem) {
        int ends[2];

        if (!machine_in_segment(segment->machine))
                return 0;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return problem_set(reterr_problem, -errno, "cannot make a socket: %m");
        segment->agent_fd = ends[0];
        segment->inside_fd = ends[1];
        return 0;
}

/* The directory of the machine whose segment this one joins: beside its own. */
static int open_other(const Machine *machine, MachineDirectory *ret) {
        const char *slash = strrchr(machine->directory, '/');
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        if (!slash || strchr(machine->network_of, '/'))
                return -EINVAL;
        int r = string_printf(&directory.path, "%.*s/%s", (int) (slash - machine->directory), machine->directory,
                              machine->network_of);
        if (r < 0)
                return r;
        directory.fd = open_directory_at(AT_FDCWD, directory.path, false, 0);
        if (directory.fd < 0)
                return directory.fd;
        *ret = directory;
        directory = MACHINE_DIRECTORY_NONE;
        return 0;
}

static int join(Segment *segment, Problem *reterr_problem) {
        _cleanup_machine_directory_ MachineDirectory other = MACHINE_DIRECTORY_NONE;

        int r = open_other(segment->machine, &other);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot open the directory of the job: %m");
        return segment_file_join(&other, segment->machine->settings.start_timeout_usec, &segment->hub, reterr_problem);
}

static int find_names(Segment *segment, Problem *reterr_problem) {
        IpNetwork address = block_address(&segment->hub.block, AF_INET, BLOCK_HUB, true);
        char hub[IP_NETWORK_TEXT_MAX];
        _cleanup_free_ char *text = NULL;

        (void) ip_network_format(&address, hub);
        *strchr(hub, '/') = 0;
        int r = resolver_read(&text);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot read the host's resolv.conf: %m");
        r = names_make(text, hub, &segment->names);
        return r < 0 ? problem_set(reterr_problem, r, "cannot find out how the host looks up names: %m") : 0;
}

int segment_open(Segment *segment, Problem *reterr_problem) {
        const Machine *machine = segment->machine;
        bool uplink = machine->settings.network == NETWORK_PRIVATE;
        bool host_end = uplink && backend_of(machine->settings.network_backend)->host_end;

        if (!machine_in_segment(machine))
                return 0;
        segment->number = BLOCK_JOB;
        if (machine->network_number != UINT64_MAX)
                segment->number = (unsigned) machine->network_number;
        if (machine->network_number != UINT64_MAX && machine->network_number > BLOCK_MACHINE_MAX)
                return problem_set(reterr_problem, -E2BIG, "the job has more than %d containers",
                                   BLOCK_MACHINE_MAX - 1);
        int r = machine->network_of ? join(segment, reterr_problem) :
                                      hub_open(machine->settings.network_pool, machine->name, host_end, &segment->hub,
                                               reterr_problem);
        if (r < 0)
                return r;
        return uplink ? find_names(segment, reterr_problem) : 0;
}

/* From now on, the rules of `egress` decide about closed networks that one of them allows by name. */
static int open_networks(Segment *segment, Problem *reterr_problem) {
        for (size_t i = 0; i < CLOSED_NETWORKS; i++) {
                const IpNetwork *closed = closed_networks + i;

                /* No router passes packets to IPv6's link-local addresses on. */
                if ((closed->family == AF_INET6 && (!segment->hub.ipv6 || closed->prefix < 128)) ||
                    !egress_opens(segment->machine->settings.egress, closed))
                        continue;
                int r = hub_rules_open(segment->hub.link, closed, reterr_problem);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The machines are not connected yet. */
static int load_egress(Segment *segment, Problem *reterr_problem) {
        _cleanup_free_ char *rules = NULL;

        if (!segment->machine->settings.egress)
                return 0;
        int r = egress_format(segment->machine->settings.egress, &rules);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot make rules of 'egress': %m");
        r = nft_run(segment->hub.netns_fd, rules, reterr_problem);
        return r < 0 ? r : open_networks(segment, reterr_problem);
}

static int connect_to_host(Segment *segment, Problem *reterr_problem) {
        int r = load_egress(segment, reterr_problem);
        if (r < 0)
                return r;
        r = backend_connect(segment->machine->settings.network_backend, &segment->hub, reterr_problem);
        if (r < 0)
                return r;
        r = hub_rules_keep_silent(segment->hub.link, &segment->hub.block, segment->hub.ipv6, reterr_problem);
        if (r < 0 || segment->names.n_relayed == 0)
                return r;
        return relay_start(&segment->hub, &segment->names, reterr_problem);
}

int segment_connect(Segment *segment, Problem *reterr_problem) {
        const Machine *machine = segment->machine;

        if (segment->hub.netns_fd < 0 || machine->network_of)
                return 0;
        int r = machine->settings.network == NETWORK_PRIVATE ? connect_to_host(segment, reterr_problem) : 0;
        if (r < 0)
                return r;
        if (!machine->has_segment && segment->hub.host_index == 0)
                return 0;
        r = segment_file_save(segment->directory, &segment->hub);
        return r < 0 ? problem_set(reterr_problem, r, "cannot write where the job's network is: %m") : 0;
}

static int add_line(char **text, const IpNetwork *address, const char *names) {
        char buffer[IP_NETWORK_TEXT_MAX];

        (void) ip_network_format(address, buffer);
        *strchr(buffer, '/') = 0;
        return string_append(text, "", "%s\t%s\n", buffer, names);
}

/* The lines of /etc/hosts for a machine of the segment. */
static int add_host(const Segment *segment, unsigned number, const char *names, char **text) {
        IpNetwork address = block_address(&segment->hub.block, AF_INET, number, true);
        IpNetwork address6 = block_address(&segment->hub.block, AF_INET6, number, true);

        int r = add_line(text, &address, names);
        return r < 0 || !segment->hub.ipv6 ? r : add_line(text, &address6, names);
}

/* The machine itself, and those that the plan names. */
static int add_hosts(const Segment *segment, char **text) {
        const Machine *machine = segment->machine;

        int r = add_host(segment, segment->number, machine->hostname ? machine->hostname : machine->name, text);
        if (r < 0)
                return r;
        for (char **host = machine->hosts; host && *host; host++) {
                char *names;
                unsigned long number = strtoul(*host, &names, 10);

                if (*names != ' ' || number < BLOCK_JOB || number > BLOCK_MACHINE_MAX)
                        return -EBADMSG;
                r = add_host(segment, (unsigned) number, names + 1, text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int answer(const Segment *segment) {
        _cleanup_free_ char *text = NULL;

        int r = add_hosts(segment, &text);
        return r < 0 ? r : wire_send(segment->agent_fd, WIRE_CONNECTED, text, strlen(text) + 1, NULL, 0);
}

int segment_serve(Segment *segment, Problem *reterr_problem) {
        static WireMessage message; /* on the stack, the compiler would touch all its pages */

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
        return r;
}
