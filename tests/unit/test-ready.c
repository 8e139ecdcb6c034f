/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/string.h"
#include "machine/ready.h"

/* Sockets of this process, which are in the tables of its own network namespace. */
static void test_listening(_unused_ void **state) {
        static const struct {
                int family;
                const char *address;
                bool reachable;
        } table[] = {
                { AF_INET, "0.0.0.0", true },    { AF_INET6, "::", true },   { AF_INET, "127.0.0.1", false },
                { AF_INET, "127.1.2.3", false }, { AF_INET6, "::1", false }, { AF_INET6, "::ffff:127.0.0.1", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                union {
                        struct sockaddr any;
                        struct sockaddr_in ipv4;
                        struct sockaddr_in6 ipv6;
                } address = { 0 };
                socklen_t size = table[i].family == AF_INET ? sizeof(address.ipv4) : sizeof(address.ipv6);
                void *bytes = table[i].family == AF_INET ? (void *) &address.ipv4.sin_addr :
                                                           (void *) &address.ipv6.sin6_addr;
                char port[8];

                _cleanup_close_ int fd = socket(table[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_true(fd >= 0);
                address.any.sa_family = (sa_family_t) table[i].family;
                assert_int_equal(inet_pton(table[i].family, table[i].address, bytes), 1);
                assert_int_equal(bind(fd, &address.any, size), 0);
                assert_int_equal(getsockname(fd, &address.any, &size), 0);
                snprintf(port, sizeof(port), "%u",
                         ntohs(table[i].family == AF_INET ? address.ipv4.sin_port : address.ipv6.sin6_port));

                assert_false(service_is_listening(getpid(), ARGV("1", port)));
                assert_int_equal(listen(fd, 1), 0);
                assert_row(service_is_listening(getpid(), ARGV("1", port)) == table[i].reachable, i, table[i].address);
                assert_false(service_is_listening(getpid(), ARGV("1")));
        }
        assert_false(service_is_listening(-1, ARGV("1")));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listening),
};
UNIT_FILE(tests);
