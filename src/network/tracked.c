/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps one job from filling the kernel's table of connections, which the host and all jobs need. nat.c and pasta.c put
 * the rules where the packets of jobs pass. The rules must count in the very table that they protect: what another
 * network namespace knows of a connection can be changed by packets that never get here. */

#include "network/tracked.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/string.h"

#define MAX_FILE "/proc/sys/net/netfilter/nf_conntrack_max"
#define COUNT_FILE "/proc/sys/net/netfilter/nf_conntrack_count"

/* What the kernel tracks on a host with little memory. */
#define SMALL_HOST 65536
/* Closed connections stay in the table for two minutes and are not counted by the kernel, so opening them is limited as
 * well: in two minutes, not more than four times what may be open. */
#define SHARE 32
#define SECONDS 32
#define CONNECTIONS_MIN 1024

/* To look through the table takes as long as a job takes to end, or much longer: so it is done only when this part of it is
 * full, which is rare unless jobs leave connections open on purpose. */
#define CROWDED 4

/* A longer life of idle connections would let the table fill up with those of jobs that have ended. Standards ask NATs
 * for this one (RFC 5382), with which TCP keeps idle connections alive by default. */
#define ESTABLISHED_SEC "7440"

/* Answers are limited: the kernel sends only so many for all jobs and for itself. */
static const char format[] = "  ct timeout tcp4 { protocol tcp; l3proto ip; policy = { established: " ESTABLISHED_SEC
                             " }; }\n"
                             "  ct timeout tcp6 { protocol tcp; l3proto ip6; policy = { established: " ESTABLISHED_SEC
                             " }; }\n"
                             "  set open { type ifname; size 65535; flags dynamic; }\n"
                             "  set opened { type ifname; size 65535; flags dynamic; }\n"
                             "  chain refused {\n"
                             "    limit rate 1/minute burst 1 packets log prefix"
                             " \"nspawn-runner: too many connections of a job: \" level warn\n"
                             "    limit rate over 100/second drop\n"
                             "    reject with icmpx admin-prohibited\n"
                             "  }\n"
                             "  chain openings {\n"
                             "    add @open { iifname ct count over %u } goto refused\n"
                             "    update @opened { iifname limit rate over %u/second burst %u packets } goto refused\n"
                             "    meta nfproto ipv4 meta l4proto tcp ct timeout set \"tcp4\"\n"
                             "    meta nfproto ipv6 meta l4proto tcp ct timeout set \"tcp6\"\n"
                             "  }\n";

bool tracked_is_crowded(void) {
        uint64_t all, now;

        return file_read_number_at(AT_FDCWD, MAX_FILE, &all) >= 0 &&
               file_read_number_at(AT_FDCWD, COUNT_FILE, &now) >= 0 && all > 0 && now > all / CROWDED;
}

Tracked tracked_share(bool *ret_known) {
        uint64_t all = 0;

        *ret_known = file_read_number_at(AT_FDCWD, MAX_FILE, &all) >= 0;
        if (all == 0 || all > UINT32_MAX) /* 0: without a limit */
                all = SMALL_HOST;
        unsigned connections = MAX((unsigned) (all / SHARE), CONNECTIONS_MIN);
        return (Tracked){ .connections = connections, .per_second = connections / SECONDS };
}

int tracked_format(const Tracked *share, char **ret) {
        return string_printf(ret, format, share->connections, share->per_second, share->connections);
}
