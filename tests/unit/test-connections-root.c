/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "loopback.h"
#include "network/connections.h"
#include "network/netns.h"
#include "network/nft.h"

/* Connections of a network namespace of our own, whose kernel tracks them. */

#define COUNT_FILE "/proc/sys/net/netfilter/nf_conntrack_count"
/* More than go into one batch. */
#define CONNECTIONS (2U * NETLINK_BATCH_MESSAGES)

static uint64_t count(void) {
        uint64_t n;

        assert_int_equal(file_read_number_at(AT_FDCWD, COUNT_FILE, &n), 0);
        return n;
}

static void open_connections(const char *from) {
        struct sockaddr_in address = { .sin_family = AF_INET };

        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(inet_pton(AF_INET, from, &address.sin_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        for (unsigned i = 0; i < CONNECTIONS; i++) {
                address.sin_port = htons((uint16_t) (1024 + i));
                (void) sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *) &address, sizeof(address));
        }
}

/* Yes, as often as the number says. */
static bool count_down(const void *userdata) {
        unsigned *left = *(unsigned *const *) userdata;

        return *left > 0 && (*left)--;
}

/* Those from others stay, and all that are left as soon as the network has another owner. */
static void test_forget(_unused_ void **state) {
        IpNetwork network;
        unsigned left = 1, *userdata = &left;

        open_connections("127.0.1.1");
        open_connections("127.0.2.1");
        assert_int_equal(count(), 2 * CONNECTIONS);
        assert_int_equal(ip_network_parse("127.0.1.0/24", &network), 0);
        assert_int_equal(connections_forget(&network, 1, count_down, &userdata), -ECANCELED);
        assert_int_equal(count(), 2 * CONNECTIONS - NETLINK_BATCH_MESSAGES);
        left = 100;
        assert_int_equal(connections_forget(&network, 1, count_down, &userdata), 0);
        assert_int_equal(count(), CONNECTIONS);
        assert_int_equal(connections_forget(&network, 1, count_down, &userdata), 0);
        assert_int_equal(count(), CONNECTIONS);
}

static int track(void) {
        static const char rules[] = "table inet t {\n"
                                    "  chain c {\n"
                                    "    type filter hook output priority 0;\n"
                                    "    ct state new accept\n"
                                    "  }\n"
                                    "}\n";

        int r = switch_loopback_on();
        if (r < 0)
                return r;
        (void) nft_run(-EBADF, rules, NULL); /* under valgrind it fails afterwards, by what libnftables leaves */
        r = nft_has_chain("t", "c");
        return r <= 0 ? -ENOENT : netns_set("netfilter/nf_conntrack_udp_timeout", "9999"); /* none goes by itself */
}

static const char *lacks(void) {
        return geteuid() != 0 || netns_new() < 0 || track() < 0 ? "root, network namespaces, and libnftables" : NULL;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forget),
};
UNIT_FILE(tests, .lacks = lacks);
