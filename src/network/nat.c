/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lets the host's kernel forward the packets of jobs. `supervise` calls this for each job; after the first job since
 * the host's boot, everything is in place. No rule about what jobs reach may be here: such rules belong into the hub
 * (network/hub-rules.c). A reload of the host's firewall may remove or empty the table made here; the next job makes it
 * again. */

#include "network/nat.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "network/connections.h"
#include "network/netns.h"
#include "network/nft.h"
#include "network/tracked.h"

#define TABLE "nspawn-runner"
/* Change this name whenever the rules change, so that the rules of an older version are replaced. */
#define CHAIN "forward-2"

/* Packets to HUB_NOWHERE show whether packets of jobs get through: after all other rules of the host, our own rule answers
 * them in a way in which no firewall does. */
#define TRIAL_PORT 53
#define TRIAL_TIMES 10
#define TRIAL_USEC (100 * USEC_PER_MSEC)

#define OURS "\"" HUB_HOST_INTERFACE_PREFIX "*\""

/* The priorities of "forward" and "source" come after those of all other rules: an accept in an earlier chain is not
 * final, but a drop is. That of "tracked" comes after the one at which the kernel looks a connection up (-200). */
static const char format[] = "table inet " TABLE "\n"
                             "delete table inet " TABLE "\n"
                             "table inet " TABLE " {\n"
                             "%s"
                             "  chain tracked {\n"
                             "    type filter hook prerouting priority -190; policy accept;\n"
                             "    iifname " OURS " ct state new jump openings\n"
                             "  }\n"
                             "  chain " CHAIN " {\n"
                             "    type filter hook forward priority 2000; policy accept;\n"
                             "    iifname " OURS " ip daddr " HUB_NOWHERE
                             " udp dport 53 reject with icmp type prot-unreachable\n"
                             "    iifname " OURS " ip6 daddr " HUB_NOWHERE6
                             " udp dport 53 reject with icmpv6 type no-route\n"
                             "    iifname " OURS " oifname " OURS " drop\n"
                             "    oifname " OURS " ct state established,related accept\n"
                             "    oifname " OURS " drop\n"
                             "  }\n"
                             "  chain source {\n"
                             "    type nat hook postrouting priority 100; policy accept;\n"
                             "    iifname " OURS " oifname != " OURS " masquerade\n"
                             "  }\n"
                             "}\n";

/* --- what the kernel has to be told --- */

#define CHANGES_MAX_BYTES (1 << 20)

static bool is_on(const char *name) {
        _cleanup_free_ char *path = NULL, *value = NULL;

        return string_printf(&path, "/proc/sys/net/%s", name) >= 0 &&
               file_read_at(AT_FDCWD, path, 64, &value, NULL) >= 0 && value[0] != '0';
}

const char *nat_forwarding_missing(void) {
        return is_on(NETNS_FORWARD4) ? NULL : "net.ipv4.ip_forward";
}

/* Records a change for people who look for its origin: each change once, however often another program reverts it. Best
 * effort. */
static void note_change(const char *name, const char *old) {
        _cleanup_free_ char *line = NULL, *known = NULL;

        if (string_printf(&line, "net/%s was %s\n", name, old) < 0 || mkdir_parents(NAT_CHANGES_DIRECTORY, 0755) < 0)
                return;
        if (file_read_at(AT_FDCWD, NAT_CHANGES_FILE, CHANGES_MAX_BYTES, &known, NULL) >= 0 && strstr(known, line))
                return;
        _cleanup_close_ int fd = open(NAT_CHANGES_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd >= 0)
                (void) fd_write_all(fd, line, strlen(line));
}

static int switch_on(const char *name) {
        if (is_on(name))
                return 0;
        int r = netns_set(name, "1");
        if (r < 0)
                return r;
        note_change(name, "0");
        return 0;
}

static int keep_routes_of(const char *interface) {
        _cleanup_free_ char *name = NULL, *path = NULL, *value = NULL;

        if (string_printf(&name, "ipv6/conf/%s/accept_ra", interface) < 0 ||
            string_printf(&path, "/proc/sys/net/%s", name) < 0)
                return -ENOMEM;
        int r = file_read_at(AT_FDCWD, path, 64, &value, NULL);
        if (r < 0)
                return r;
        if (value[0] != '1')
                return 0;
        r = netns_set(name, "2");
        if (r < 0)
                return r;
        note_change(name, "1");
        return 0;
}

/* With forwarding, the kernel ignores routes from router advertisements unless accept_ra is 2 (ip-sysctl.rst). This
 * keeps a default route that the host has from one. 0; or -errno: one may be lost. */
static int keep_announced_routes(void) {
        _cleanup_closedir_ DIR *dir = opendir("/proc/sys/net/ipv6/conf");

        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (streq(entry->d_name, "all") || startswith(entry->d_name, HUB_HOST_INTERFACE_PREFIX))
                        continue;
                int r = keep_routes_of(entry->d_name);
                if (r < 0 && r != -ENOENT) /* an interface that is gone by now */
                        return r;
        }
}

static int forward(Hub *hub, Problem *reterr_problem) {
        int r = switch_on(NETNS_FORWARD4);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot switch net.ipv4.ip_forward on: %m");
        if (!hub->ipv6 || is_on(NETNS_FORWARD6))
                return 0;
        if (keep_announced_routes() < 0 || switch_on(NETNS_FORWARD6) < 0)
                hub->ipv6 = false;
        return 0;
}

static int load_with(const Tracked *share, Problem *reterr_problem) {
        _cleanup_free_ char *openings = NULL, *rules = NULL;

        if (tracked_format(share, &openings) < 0 || string_printf(&rules, format, openings) < 0)
                return problem_set(reterr_problem, -ENOMEM, "cannot make rules for jobs' packets: %m");
        return nft_run(-EBADF, rules, reterr_problem);
}

static int load_rules(Problem *reterr_problem) {
        bool known;

        Tracked share = tracked_share(&known);
        int r = load_with(&share, reterr_problem);
        if (r < 0 || known)
                return r;
        /* The rules made the kernel load what tracks connections, and now it tells how many. */
        share = tracked_share(&known);
        return load_with(&share, reterr_problem);
}

/* --- do packets get through? --- */

static int trial_socket(const Hub *hub, int family) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(TRIAL_PORT) };
        struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(TRIAL_PORT) };
        IpNetwork address;

        if (ip_network_parse(family == AF_INET ? HUB_NOWHERE : HUB_NOWHERE6, &address) < 0)
                return -EINVAL;
        memcpy(&to.sin_addr, address.address, sizeof(to.sin_addr));
        memcpy(&to6.sin6_addr, address.address, sizeof(to6.sin6_addr));
        int r = netns_enter(hub->netns_fd);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
                                 family == AF_INET ? IP_RECVERR : IPV6_RECVERR, &(int){ 1 }, sizeof(int)) < 0)
                r = -errno;
        else if (connect(fd, family == AF_INET ? (struct sockaddr *) &to : (struct sockaddr *) &to6,
                         family == AF_INET ? sizeof(to) : sizeof(to6)) < 0)
                r = -errno;
        if (netns_enter(hub->host_fd) < 0)
                _exit(EXIT_FAILURE);
        return r < 0 ? r : TAKE_FD(fd);
}

/* Reads the answer: does it come from our own rule? */
static bool read_answer(int fd, int family) {
        alignas(struct cmsghdr) char control[512];
        struct msghdr message = { .msg_control = control, .msg_controllen = sizeof(control) };

        if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
                return false;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
                struct sock_extended_err error;

                if (c->cmsg_len < CMSG_LEN(sizeof(error)))
                        continue;
                memcpy(&error, CMSG_DATA(c), sizeof(error));
                if (family == AF_INET ? error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
                                                error.ee_code == ICMP_PROT_UNREACH :
                                        error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMPV6_DEST_UNREACH &&
                                                error.ee_code == ICMPV6_NOROUTE)
                        return true;
        }
        return false;
}

/* Tries whether packets get through. 1: yes; 0: no; or -errno. */
static int try_out(const Hub *hub, int family) {
        _cleanup_close_ int fd = trial_socket(hub, family);
        if (fd < 0)
                return fd;
        for (unsigned i = 0; i < TRIAL_TIMES; i++) {
                struct pollfd pollfd = { .fd = fd };
                uint64_t deadline = clock_deadline(TRIAL_USEC);

                (void) send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
                while (clock_now_usec() < deadline && poll(&pollfd, 1, clock_poll_timeout(deadline)) > 0)
                        if (read_answer(fd, family))
                                return 1;
        }
        return 0;
}

int nat_connect(Hub *hub, Problem *reterr_problem) {
        char name[IF_NAMESIZE];

        int r = forward(hub, reterr_problem);
        if (r < 0)
                return r;
        r = nft_has_chain(TABLE, CHAIN) > 0 ? 0 : load_rules(reterr_problem);
        if (r < 0)
                return r;
        r = try_out(hub, AF_INET);
        if (r == 0) {
                /* Chains without rules stay when somebody empties all tables. */
                r = load_rules(reterr_problem);
                if (r < 0)
                        return r;
                r = try_out(hub, AF_INET);
        }
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot try whether the host forwards packets: %m");
        if (r == 0)
                return problem_set(reterr_problem, NAT_BLOCKED,
                                   "a firewall of this host drops the packets of jobs: let through what is forwarded "
                                   "from and to the interfaces " HUB_HOST_INTERFACE_PREFIX "*");
        if (hub->ipv6 && try_out(hub, AF_INET6) <= 0)
                hub->ipv6 = false;
        hub_host_interface(&hub->block, name);
        hub->host_index = if_nametoindex(name);
        return 0;
}

typedef struct PastOwner {
        char interface[IF_NAMESIZE];
        unsigned index;
} PastOwner;

/* The kernel removes the interface some time after the job's last process. */
static bool is_nobody_elses(const void *userdata) {
        const PastOwner *owner = userdata;
        unsigned index = if_nametoindex(owner->interface);

        return index == 0 || index == owner->index;
}

void nat_forget(const AddressBlock *block, unsigned host_index) {
        PastOwner owner = { .index = host_index };

        if (!tracked_is_crowded())
                return;
        hub_host_interface(block, owner.interface);
        const IpNetwork networks[] = { block->network, block->network6 };
        (void) connections_forget(networks, ELEMENTSOF(networks), is_nobody_elses, &owner);
}
