/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the resolv.conf of a private segment from the host's. machine/segment.c calls this. It works on text. It may
 * look up the numbers of the host's interfaces, for addresses with a zone name, but must never ask a server. */

#include "network/names.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "network/closed.h"

#define DNS_PORT 53
#define KEYWORD "nameserver"
#define BLANKS " \t"

void names_done(Names *names) {
        free(names->text);
        *names = (Names){ 0 };
}

/* Parses an address, with its zone. False: @text is no address. */
static bool parse_server(const char *text, struct sockaddr_storage *ret) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(DNS_PORT) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT) };
        char address[INET6_ADDRSTRLEN];
        size_t n = strcspn(text, "%");

        if (n >= sizeof(address))
                return false;
        memcpy(address, text, n);
        address[n] = 0;
        *ret = (struct sockaddr_storage){ 0 };
        if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
                memcpy(ret, &in, sizeof(in));
                return true;
        }
        if (inet_pton(AF_INET6, address, &in6.sin6_addr) != 1)
                return false;
        if (text[n])
                in6.sin6_scope_id = if_nametoindex(text + n + 1);
        memcpy(ret, &in6, sizeof(in6));
        return true;
}

/* Does the address mean the same server for a container as for the host? Whether containers have IPv6 shows only when the
 * way out is made, after their resolv.conf. */
static bool is_reachable(const struct sockaddr_storage *server) {
        struct sockaddr_in in;

        if (server->ss_family != AF_INET)
                return false;
        memcpy(&in, server, sizeof(in));
        uint32_t address = ntohl(in.sin_addr.s_addr);
        return address >> 24 != 0 && address >> 24 != 127 && !closed_has(AF_INET, (const uint8_t *) &in.sin_addr);
}

/* Returns the address in a nameserver line; NULL: the line is about something else. */
static const char *server_of_line(char *line) {
        const char *rest = startswith(line, KEYWORD);

        if (!rest || !strchr(BLANKS, *rest))
                return NULL;
        char *text = (char *) rest + strspn(rest, BLANKS);
        text[strcspn(text, BLANKS "\r#;")] = 0;
        return text;
}

static void add_server(FILE *out, const char *text, const char *hub, Names *names) {
        struct sockaddr_storage server;

        if (!parse_server(text, &server))
                return;
        if (is_reachable(&server)) {
                fprintf(out, KEYWORD " %s\n", text);
                return;
        }
        /* One line, with the hub's address, stands for all servers that are relayed. */
        if (names->n_relayed == 0)
                fprintf(out, KEYWORD " %s\n", hub);
        names->relayed[names->n_relayed++] = server;
}

int names_make(const char *host_text, const char *hub, Names *ret) {
        _cleanup_free_ char *lines = strdup(host_text ? host_text : "");
        Names names = { 0 };
        size_t size, n_servers = 0;
        char *state = NULL;

        if (!lines)
                return -ENOMEM;
        FILE *out = open_memstream(&names.text, &size);
        if (!out)
                return -ENOMEM;
        for (char *line = strtok_r(lines, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                const char *server = server_of_line(line);

                if (!server)
                        fprintf(out, "%s\n", line);
                else if (n_servers++ < NAMES_SERVERS_MAX)
                        add_server(out, server, hub, &names);
        }
        /* Without a server in resolv.conf, libc asks this one. */
        if (n_servers == 0)
                add_server(out, "127.0.0.1", hub, &names);
        if (fclose(out) != 0) {
                names_done(&names);
                return -ENOMEM;
        }
        *ret = names;
        return 0;
}
