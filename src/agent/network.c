/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Hands the container's network namespace to `supervise`, which puts an interface into it, and waits until that is
 * there. main.c calls this before any code of the image runs, and before the filter of system calls is installed. The
 * agent goes no further if `supervise` ends meanwhile, which closes the socket: nothing of the image may see a
 * container without its network. */

#include <fcntl.h>
#include <string.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"
#include "wire/wire.h"

int network_wait(int socket_fd, char **ret_hosts) {
        static WireMessage message; /* on the stack, the compiler would touch all its pages */

        _cleanup_close_ int netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (netns_fd < 0)
                return -errno;
        int r = wire_send(socket_fd, WIRE_NETWORK, NULL, 0, &netns_fd, 1);
        if (r < 0)
                return r;
        do
                r = wire_receive(socket_fd, &message);
        while (r == -EINTR);
        if (r <= 0)
                return r < 0 ? r : -ECONNRESET;
        r = message.type == WIRE_CONNECTED && message.size > 0 && message.payload[message.size - 1] == 0 ?
                    string_replace(ret_hosts, (const char *) message.payload) :
                    -EBADMSG;
        wire_message_done(&message);
        return r;
}
