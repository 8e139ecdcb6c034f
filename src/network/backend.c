/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Chooses the backend that connects a job's network to the world. `supervise` calls this for each job. The words for
 * the backends are with the types of settings. Remembering that a backend is blocked only saves time: it must never
 * make a job fail. */

#include "network/backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/string.h"
#include "network/nat.h"
#include "network/pasta.h"

/* For how long to remember, in this file, that packets do not get through: a new try takes a while. */
#define BLOCKED_FILE RUNTIME_DIR_DEFAULT "/network-blocked"
#define BLOCKED_SEC 600

static const NetworkBackend backends[] = {
        [WAY_OUT_NAT] = { true, nat_connect },
        [WAY_OUT_PASTA] = { false, pasta_connect },
};

const NetworkBackend *backend_of(WayOut way) {
        return backends + (way == WAY_OUT_AUTO ? WAY_OUT_NAT : way);
}

/* Makes the file's path: one file for each network namespace, because containers on a host may share /run. */
static int blocked_path(const Hub *hub, char ret[static 64]) {
        struct stat st;

        if (fstat(hub->host_fd, &st) < 0)
                return -errno;
        snprintf(ret, 64, BLOCKED_FILE "-%llu", (unsigned long long) st.st_ino);
        return 0;
}

static bool is_known_to_be_blocked(const Hub *hub) {
        char path[64];
        struct stat st;

        return blocked_path(hub, path) >= 0 && lstat(path, &st) >= 0 && st.st_mtim.tv_sec <= time(NULL) &&
               time(NULL) - st.st_mtim.tv_sec < BLOCKED_SEC;
}

static void remember_blocked(const Hub *hub, const char *why) {
        char path[64];

        if (blocked_path(hub, path) < 0)
                return;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd >= 0)
                (void) fd_write_all(fd, why, strlen(why));
}

void backend_forget_blocked(const Hub *hub) {
        char path[64];

        if (blocked_path(hub, path) >= 0)
                (void) unlink(path);
}

int backend_connect(WayOut way, Hub *hub, Problem *reterr_problem) {
        const NetworkBackend *backend = backend_of(way), *other = backend_of(WAY_OUT_PASTA);
        bool may_change = way == WAY_OUT_AUTO && pasta_is_installed();

        int r = may_change && is_known_to_be_blocked(hub) ? NAT_BLOCKED : backend->connect(hub, reterr_problem);
        if (r == 0)
                return 0;
        if (!may_change && way == WAY_OUT_AUTO)
                (void) problem_set(reterr_problem, r, "%s. Or install pasta (package passt), which needs no forwarding",
                                   reterr_problem->text);
        if (!may_change)
                return r == NAT_BLOCKED ? -EHOSTUNREACH : r;
        if (r == NAT_BLOCKED && !is_known_to_be_blocked(hub))
                remember_blocked(hub, reterr_problem->text);
        r = hub_drop_uplink(hub, reterr_problem);
        return r < 0 ? r : other->connect(hub, reterr_problem);
}
