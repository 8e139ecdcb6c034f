/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Tells systemd, by one datagram, that `supervise` is ready. Only `supervise` calls this. It does without libsystemd,
 * which would be loaded for nothing else and stay in memory as long as the container. */

#include "container/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/string.h"

/* One datagram, as the documentation says; libsystemd would be loaded for nothing else. */
int notify_systemd(const char *state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = getenv("NOTIFY_SOCKET");

        if (isempty(path))
                return 0;
        size_t n = strlen(path);
        if (n >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
                return -EINVAL;
        memcpy(address.sun_path, path, n);
        if (path[0] == '@')
                address.sun_path[0] = 0;

        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n);
        return sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address, size) < 0 ? -errno : 0;
}
