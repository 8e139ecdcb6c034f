/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the private segment of a job. `supervise` calls this, for the job's container and for containers that join it.
 * On the host, it must change nothing but the one interface to the hub, which disappears with the hub's namespace. */

#include "network/hub.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/string.h"
#include "network/hub-rules.h"
#include "network/netns.h"

#define LOOPBACK_INDEX 1
/* Index of the hub's port for a container: this plus the number of the container's address. */
#define PORT_INDEX 100

/* Ethernet's default. More brings nothing on the kernel's own way to the host. */
#define MTU_MAX 1500
/* How long to wait for a block: the kernel takes down the hub of a job some time after the job has ended. */
#define BLOCK_TIMEOUT_USEC (3 * USEC_PER_SEC)
#define BLOCK_POLL_USEC (10 * USEC_PER_MSEC)
/* Every link for IPv6 must have at least this. */
#define MTU_MIN 1280

void hub_done(Hub *hub) {
        netlink_closep(&hub->host);
        netlink_closep(&hub->link);
        closep(&hub->host_fd);
        closep(&hub->netns_fd);
        *hub = HUB_NONE;
}

static IpNetwork network_of(const char *text) {
        IpNetwork network = { 0 };

        (void) ip_network_parse(text, &network);
        return network;
}

/* Makes the address of one end of a pair. It is set when the pair is made, so that no program of the host changes it
 * later. @kind tells the ends of a segment apart. */
static MacAddress mac_address(const AddressBlock *block, uint8_t kind) {
        MacAddress mac = { { 0x02, kind } }; /* locally administered */

        memcpy(mac.bytes + 2, block->network.address, 4);
        return mac;
}

enum { MAC_HOST = 1, MAC_UPLINK, MAC_BRIDGE, MAC_PORT = 0x40, MAC_MACHINE = 0x80 };

/* --- where the addresses come from --- */

static void read_host_key(char **ret) {
        if (file_read_at(AT_FDCWD, "/etc/machine-id", 256, ret, NULL) < 0)
                *ret = NULL;
}

static void find_mtu(Hub *hub) {
        const IpNetwork somewhere = network_of(HUB_NOWHERE);
        struct ifreq request = { 0 };
        RouteAnswer answer;

        hub->mtu = MTU_MAX;
        if (route_lookup(hub->host, &somewhere, &answer) < 0 || answer.index == 0 ||
            !if_indextoname((unsigned) answer.index, request.ifr_name))
                return;
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) >= 0 && request.ifr_mtu >= MTU_MIN)
                hub->mtu = MIN((uint32_t) request.ifr_mtu, MTU_MAX);
}

static bool host_has_ipv6(Hub *hub) {
        const IpNetwork somewhere = network_of(HUB_NOWHERE6);
        RouteAnswer answer;

        return route_lookup(hub->host, &somewhere, &answer) >= 0 && answer.type == RTN_UNICAST;
}

typedef enum BlockState { BLOCK_FREE, BLOCK_TAKEN, BLOCK_OF_HOST } BlockState;

/* Finds out whether the host has a route to the block other than its default route. *ret_route is the route. */
static int look_at_block(Hub *hub, BlockState *ret, RouteAnswer *ret_route) {
        static const unsigned numbers[] = { 0, BLOCK_JOB, BLOCK_MACHINE_MAX };
        char name[IF_NAMESIZE] = "";

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                IpNetwork address = block_address(&hub->block, AF_INET, numbers[i], true);

                int r = route_lookup(hub->host, &address, ret_route);
                if (r < 0)
                        return r;
                if (ret_route->type == RTN_UNREACHABLE || ret_route->prefix == 0)
                        continue;
                (void) if_indextoname((unsigned) ret_route->index, name);
                *ret = startswith(name, HUB_HOST_INTERFACE_PREFIX) ? BLOCK_TAKEN : BLOCK_OF_HOST;
                return 0;
        }
        *ret = BLOCK_FREE;
        return 0;
}

void hub_host_interface(const AddressBlock *block, char ret[static IF_NAMESIZE]) {
        snprintf(ret, IF_NAMESIZE, HUB_HOST_INTERFACE_PREFIX "%08x", block->base);
}

/* Makes the interfaces between hub and host. 0; -EEXIST: another job has the block; or another -errno. */
static int make_uplink(Hub *hub) {
        char name[IF_NAMESIZE];
        NetlinkBatch batch = { 0 };
        const char *what;

        hub_host_interface(&hub->block, name);
        const LinkEnd up = { HUB_UPLINK, HUB_UPLINK_INDEX, mac_address(&hub->block, MAC_UPLINK), -1 };
        const LinkEnd host = { name, 0, mac_address(&hub->block, MAC_HOST), hub->host_fd };
        link_add_veth(&batch, &up, &host, hub->mtu);
        return netlink_run(hub->link, &batch, &what);
}

/* Takes a free block of @pool. 0; -EBUSY: all blocks are taken; -EADDRNOTAVAIL: the host uses the whole pool; or
 * another -errno. */
static int take_block_of(Hub *hub, const IpNetwork *pool, const char *holder, Problem *reterr_problem) {
        static const uint8_t key[16] = "nspawn-runner-ip";
        _cleanup_free_ char *host_key = NULL;
        uint32_t n = block_count(pool);
        char text[IP_NETWORK_TEXT_MAX];
        RouteAnswer route = { 0 };
        bool taken = false;
        Hash hash;

        read_host_key(&host_key);
        hash_init(&hash, key);
        hash_string(&hash, holder);
        uint32_t first = (uint32_t) (hash_finish(&hash) % n);
        for (uint32_t i = 0; i < n; i++) {
                BlockState state;

                block_init(&hub->block, pool, (first + i) % n, host_key);
                int r = look_at_block(hub, &state, &route);
                if (r < 0)
                        return problem_set(reterr_problem, r, "cannot ask the kernel for its routes: %m");
                if (state == BLOCK_OF_HOST && route.prefix <= pool->prefix)
                        break;
                r = state == BLOCK_FREE ? make_uplink(hub) : -EEXIST;
                if (r != -EEXIST)
                        return r < 0 ? problem_set(reterr_problem, r, "cannot make the interface to the job: %m") : 0;
                taken = taken || state != BLOCK_OF_HOST;
        }
        (void) ip_network_format(pool, text);
        if (taken)
                return problem_set(
                        reterr_problem, -EBUSY,
                        "all %u blocks of addresses of network_pool %s are in use, each by a job: run fewer jobs "
                        "at a time, or set network_pool to a larger network",
                        n, text);
        return problem_set(reterr_problem, -EADDRNOTAVAIL,
                           "the addresses of network_pool %s are in use on this host: it has a route to them. Set "
                           "network_pool to a network that nobody uses",
                           text);
}

static int try_block(Hub *hub, const char *pool, const char *holder, Problem *reterr_problem) {
        int r = -EADDRNOTAVAIL;

        if (!streq(pool, "auto")) {
                IpNetwork network = network_of(pool);
                return take_block_of(hub, &network, holder, reterr_problem);
        }
        for (size_t i = 0; r == -EADDRNOTAVAIL && block_default_pool(i); i++) {
                IpNetwork network = network_of(block_default_pool(i));
                r = take_block_of(hub, &network, holder, reterr_problem);
        }
        return r;
}

static int take_block(Hub *hub, const char *pool, const char *holder, Problem *reterr_problem) {
        uint64_t deadline = clock_deadline(BLOCK_TIMEOUT_USEC);

        for (;;) {
                bool is_over = clock_now_usec() >= deadline;

                int r = try_block(hub, pool, holder, reterr_problem);
                if (r != -EBUSY || is_over)
                        return r;
                clock_sleep_usec(BLOCK_POLL_USEC);
        }
}

/* Uses the first block: without an uplink, nobody else sees the addresses. */
static void use_any_block(Hub *hub, const char *pool) {
        IpNetwork network = network_of(streq(pool, "auto") ? block_default_pool(0) : pool);

        block_init(&hub->block, &network, 0, NULL);
}

/* --- the hub --- */

/* Enters a new network namespace for the hub, and sets it up. */
static int enter_namespace(Hub *hub) {
        int r = netns_new();
        if (r < 0)
                return r;
        hub->netns_fd = netns_open_own();
        if (hub->netns_fd < 0)
                return hub->netns_fd;
        r = netlink_open(NETLINK_ROUTE, &hub->link);
        if (r < 0)
                return r;
        r = netns_set(NETNS_FORWARD4, "1");
        if (r < 0)
                return r;
        if (netns_set(NETNS_FORWARD6, "1") < 0)
                hub->ipv6 = false; /* the kernel has no IPv6 */
        return 0;
}

static int make_namespace(Hub *hub, Problem *reterr_problem) {
        hub->host_fd = netns_open_own();
        if (hub->host_fd < 0)
                return problem_set(reterr_problem, hub->host_fd, "cannot open the host's network namespace: %m");
        int r = netlink_open(NETLINK_ROUTE, &hub->host);
        if (r == -ELIBACC)
                return problem_set(reterr_problem, r, "libmnl is not installed: it is in package libmnl0");
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot open a netlink socket: %m");
        r = enter_namespace(hub);
        if (netns_enter(hub->host_fd) < 0)
                _exit(EXIT_FAILURE); /* nothing may run in the wrong namespace */
        return r < 0 ? problem_set(reterr_problem, r, "cannot make a network namespace: %m") : 0;
}

/* Adds the switch, which is the containers' gateway. */
static void add_bridge(Hub *hub, NetlinkBatch *batch) {
        const LinkEnd bridge = { HUB_BRIDGE, HUB_BRIDGE_INDEX, mac_address(&hub->block, MAC_BRIDGE), -1 };
        IpNetwork address = block_address(&hub->block, AF_INET, BLOCK_HUB, false);
        IpNetwork address6 = block_address(&hub->block, AF_INET6, BLOCK_HUB, false);

        link_set_up(batch, LOOPBACK_INDEX);
        link_add_bridge(batch, &bridge, hub->mtu);
        address_add(batch, HUB_BRIDGE_INDEX, &address);
        if (hub->ipv6)
                address_add(batch, HUB_BRIDGE_INDEX, &address6);
        link_set_up(batch, HUB_BRIDGE_INDEX);
}

/* The addresses by which hub and host reach each other. IPv4 needs none on the interfaces: each end knows the other's
 * MAC address. Those of IPv6 are link-local, and mean nothing elsewhere. */
static const IpNetwork host_end = { AF_INET, { 169, 254, 0, 1 }, 32 };
static const IpNetwork host_end6 = { AF_INET6, { 0xfe, 0x80, [15] = 2 }, 64 };
static const IpNetwork hub_end6 = { AF_INET6, { 0xfe, 0x80, [15] = 1 }, 64 };

static void set_up_end(NetlinkBatch *batch, int index, const IpNetwork *address6) {
        if (address6) {
                link_set_no_own_ipv6(batch, index);
                address_add(batch, index, address6);
        }
        link_set_up(batch, index);
}

static void add_uplink(const Hub *hub, NetlinkBatch *batch) {
        const IpNetwork all = network_of("0.0.0.0/0"), all6 = network_of("::/0");
        MacAddress mac = mac_address(&hub->block, MAC_HOST);

        set_up_end(batch, HUB_UPLINK_INDEX, hub->ipv6 ? &hub_end6 : NULL);
        neighbour_add(batch, HUB_UPLINK_INDEX, &host_end, mac);
        route_add(batch, HUB_UPLINK_INDEX, &all, &host_end);
        if (!hub->ipv6)
                return;
        neighbour_add(batch, HUB_UPLINK_INDEX, &host_end6, mac);
        route_add(batch, HUB_UPLINK_INDEX, &all6, &host_end6);
}

static int set_up_host(Hub *hub, const char **reterr_what) {
        IpNetwork gateway = block_address(&hub->block, AF_INET, BLOCK_HUB, true);
        MacAddress mac = mac_address(&hub->block, MAC_UPLINK);
        NetlinkBatch batch = { 0 };
        char name[IF_NAMESIZE];

        hub_host_interface(&hub->block, name);
        int index = (int) if_nametoindex(name);
        if (index == 0) {
                *reterr_what = "find the interface to the job";
                return -errno;
        }
        set_up_end(&batch, index, hub->ipv6 ? &host_end6 : NULL);
        neighbour_add(&batch, index, &gateway, mac);
        route_add(&batch, index, &hub->block.network, &gateway);
        if (hub->ipv6) {
                neighbour_add(&batch, index, &hub_end6, mac);
                route_add(&batch, index, &hub->block.network6, &hub_end6);
        }
        int r = netlink_run(hub->host, &batch, reterr_what);
        if (r < 0)
                return r;
        *reterr_what = "switch on the interface to the job";
        r = link_wait_up(hub->host, index);
        return r < 0 ? r : link_wait_up(hub->link, HUB_UPLINK_INDEX);
}

static int set_up_hub(Hub *hub, bool uplink, const char **reterr_what) {
        NetlinkBatch batch = { 0 };

        add_bridge(hub, &batch);
        hub_rules_protect(&batch, &hub->block, hub->ipv6);
        if (uplink)
                add_uplink(hub, &batch);
        int r = netlink_run(hub->link, &batch, reterr_what);
        return r < 0 || !uplink ? r : set_up_host(hub, reterr_what);
}

int hub_open(const char *pool, const char *holder, bool uplink, Hub *ret, Problem *reterr_problem) {
        _cleanup_hub_ Hub hub = HUB_NONE;
        const char *what;

        hub.ipv6 = true;
        int r = make_namespace(&hub, reterr_problem);
        if (r < 0)
                return r;
        hub.ipv6 = hub.ipv6 && (!uplink || host_has_ipv6(&hub));
        find_mtu(&hub);
        if (uplink) {
                r = take_block(&hub, pool, holder, reterr_problem);
                if (r < 0)
                        return r;
        } else
                use_any_block(&hub, pool);
        r = set_up_hub(&hub, uplink, &what);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot set up the job's network: cannot %s: %m", what);
        *ret = hub;
        hub = HUB_NONE;
        return 0;
}

int hub_drop_uplink(Hub *hub, Problem *reterr_problem) {
        NetlinkBatch batch = { 0 };
        const char *what;

        link_remove(&batch, HUB_UPLINK_INDEX);
        int r = netlink_run(hub->link, &batch, &what);
        return r < 0 && r != -ENODEV ? problem_set(reterr_problem, r, "cannot %s: %m", what) : 0;
}

static int open_joined(Hub *hub, Problem *reterr_problem) {
        hub->host_fd = netns_open_own();
        if (hub->host_fd < 0)
                return problem_set(reterr_problem, hub->host_fd, "cannot open the host's network namespace: %m");
        if (!netns_is(hub->netns_fd) || netns_same(hub->netns_fd, hub->host_fd))
                return problem_set(reterr_problem, -EINVAL, "what the job's network should be is none");
        int r = netns_enter(hub->netns_fd);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot enter the job's network: %m");
        r = netlink_open(NETLINK_ROUTE, &hub->link);
        if (netns_enter(hub->host_fd) < 0)
                _exit(EXIT_FAILURE);
        return r < 0 ? problem_set(reterr_problem, r, "cannot open a netlink socket: %m") : 0;
}

int hub_join(int netns_fd, const AddressBlock *block, bool ipv6, uint32_t mtu, Hub *ret, Problem *reterr_problem) {
        _cleanup_hub_ Hub hub = HUB_NONE;

        hub.netns_fd = netns_fd;
        hub.block = *block;
        hub.ipv6 = ipv6;
        hub.mtu = mtu;
        int r = open_joined(&hub, reterr_problem);
        if (r < 0)
                return r;
        *ret = hub;
        hub = HUB_NONE;
        return 0;
}

/* --- containers --- */

static int make_port(Hub *hub, int netns_fd, unsigned number, const char **reterr_what) {
        NetlinkBatch batch = { 0 };
        char name[IF_NAMESIZE];

        snprintf(name, sizeof(name), "m%u", number);
        int index = PORT_INDEX + (int) number;
        const LinkEnd port = { name, index, mac_address(&hub->block, (uint8_t) (MAC_PORT + number)), -1 };
        const LinkEnd machine = { HUB_MACHINE_INTERFACE, 0, mac_address(&hub->block, (uint8_t) (MAC_MACHINE + number)),
                                  netns_fd };
        link_add_veth(&batch, &port, &machine, hub->mtu);
        link_set_bridge(&batch, index, HUB_BRIDGE_INDEX);
        link_set_up(&batch, index);
        return netlink_run(hub->link, &batch, reterr_what);
}

/* Sets up the interface, in the container's network namespace. */
static int set_up_machine(const Hub *hub, unsigned number, const char **reterr_what) {
        const IpNetwork all = network_of("0.0.0.0/0"), all6 = network_of("::/0");
        IpNetwork gateway = block_address(&hub->block, AF_INET, BLOCK_HUB, true);
        IpNetwork gateway6 = block_address(&hub->block, AF_INET6, BLOCK_HUB, true);
        IpNetwork address = block_address(&hub->block, AF_INET, number, false);
        IpNetwork address6 = block_address(&hub->block, AF_INET6, number, false);
        _cleanup_netlink_ NetlinkSocket *socket = NULL;
        NetlinkBatch batch = { 0 };

        *reterr_what = "find the container's interface";
        int r = netlink_open(NETLINK_ROUTE, &socket);
        if (r < 0)
                return r;
        int index = (int) if_nametoindex(HUB_MACHINE_INTERFACE);
        if (index == 0)
                return -errno;
        link_set_up(&batch, LOOPBACK_INDEX);
        address_add(&batch, index, &address);
        if (hub->ipv6)
                address_add(&batch, index, &address6);
        link_set_up(&batch, index);
        route_add(&batch, index, &all, &gateway);
        if (hub->ipv6)
                route_add(&batch, index, &all6, &gateway6);
        r = netlink_run(socket, &batch, reterr_what);
        if (r < 0)
                return r;
        *reterr_what = "switch on the container's interface";
        r = link_wait_up(socket, index);
        if (r < 0)
                return r;
        r = link_wait_up(hub->link, PORT_INDEX + (int) number);
        if (r < 0)
                return r;
        /* As with Docker, so that users other than root can use low ports. Best effort. */
        (void) netns_set("ipv4/ip_unprivileged_port_start", "0");
        (void) netns_set("ipv4/ping_group_range", "0\t2147483647");
        return 0;
}

int hub_plug(Hub *hub, int netns_fd, unsigned number, Problem *reterr_problem) {
        const char *what;

        if (!netns_is(netns_fd) || netns_same(netns_fd, hub->host_fd) || netns_same(netns_fd, hub->netns_fd))
                return problem_set(reterr_problem, -EINVAL, "the container has no network namespace of its own");
        int r = make_port(hub, netns_fd, number, &what);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot connect the container: cannot %s: %m", what);
        r = netns_enter(netns_fd);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot enter the container's network namespace: %m");
        r = set_up_machine(hub, number, &what);
        if (netns_enter(hub->host_fd) < 0)
                _exit(EXIT_FAILURE);
        return r < 0 ? problem_set(reterr_problem, r, "cannot connect the container: cannot %s: %m", what) : 0;
}
