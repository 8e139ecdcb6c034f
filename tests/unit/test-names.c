/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/string.h"
#include "network/names.h"

static void test_names(_unused_ void **state) {
        static const struct {
                const char *host;
                const char *text;
                const char *relayed[NAMES_SERVERS_MAX + 1];
        } table[] = {
                /* servers that are the same for everybody stay, with all that is said besides */
                { "# comment\nsearch example.org lan\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\noptions edns0\n",
                  "# comment\nsearch example.org lan\nnameserver 192.0.2.1\nnameserver 10.9.8.1\noptions edns0\n",
                  { "2001:db8::1" } },
                /* systemd-resolved's and dnsmasq's */
                { "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n",
                  "nameserver 10.9.8.1\noptions edns0 trust-ad\nsearch lan\n",
                  { "127.0.0.53" } },
                { "nameserver ::1\nnameserver 127.0.0.1\n", "nameserver 10.9.8.1\n", { "::1", "127.0.0.1" } },
                /* a mixture keeps its order */
                { "nameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver 192.0.2.2\n",
                  "nameserver 192.0.2.1\nnameserver 10.9.8.1\nnameserver 192.0.2.2\n",
                  { "127.0.0.1" } },
                /* only the host knows which neighbour that is, or has IPv6 at all */
                { "nameserver fe80::1%lo\n", "nameserver 10.9.8.1\n", { "fe80::1%1" } },
                { "nameserver 169.254.169.253\n", "nameserver 10.9.8.1\n", { "169.254.169.253" } },
                { "nameserver 168.63.129.16\n", "nameserver 10.9.8.1\n", { "168.63.129.16" } },
                { "nameserver 2001:db8::1\n", "nameserver 10.9.8.1\n", { "2001:db8::1" } },
                { "nameserver ::ffff:127.0.0.1\n", "nameserver 10.9.8.1\n", { "::ffff:127.0.0.1" } },
                { "nameserver 0.0.0.0\n", "nameserver 10.9.8.1\n", { "0.0.0.0" } },
                /* without a server, libc asks the own host */
                { "search lan\n", "search lan\nnameserver 10.9.8.1\n", { "127.0.0.1" } },
                { "", "nameserver 10.9.8.1\n", { "127.0.0.1" } },
                { NULL, "nameserver 10.9.8.1\n", { "127.0.0.1" } },
                /* what is beyond those that libc looks at, and what it does not understand */
                { "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 127.0.0.1\n",
                  "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n",
                  { NULL } },
                { "nameserver example.org\nnameservers 127.0.0.1\nnameserver 192.0.2.1 # mine\r\n",
                  "nameservers 127.0.0.1\nnameserver 192.0.2.1\n",
                  { NULL } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(names_done) Names names = { 0 };
                size_t n = 0;

                assert_int_equal(names_make(table[i].host, "10.9.8.1", &names), 0);
                assert_string_equal(names.text, table[i].text);
                for (; table[i].relayed[n]; n++) {
                        char text[INET6_ADDRSTRLEN + 16] = "";
                        const struct sockaddr_in *in = (struct sockaddr_in *) &names.relayed[n];
                        const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &names.relayed[n];

                        assert_row(n < names.n_relayed, i, table[i].host);
                        if (names.relayed[n].ss_family == AF_INET)
                                (void) inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
                        else
                                (void) inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
                        if (names.relayed[n].ss_family == AF_INET6 && in6->sin6_scope_id)
                                sprintf(text + strlen(text), "%%%u", in6->sin6_scope_id);
                        assert_string_equal(text, table[i].relayed[n]);
                        assert_int_equal(ntohs(in->sin_port), 53); /* at the same place in both */
                }
                assert_row(n == names.n_relayed, i, table[i].host);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
};
UNIT_FILE(tests);
