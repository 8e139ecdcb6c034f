/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Gives up root's rights for all that `exec` does with a repository. Called by exec.c in its child. From another user
 * there must be no way back to root, and the child must not outlive its parent. */

#include "exec/rights.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/string.h"

ExecUser exec_user(const Invocation *invocation) {
        const char *sudo_uid = getenv("SUDO_UID"), *sudo_gid = getenv("SUDO_GID");
        const char *directory = invocation_option(invocation, "directory");
        uint64_t uid, gid;
        struct stat st;

        if (geteuid() != 0)
                return (ExecUser){ 0 };
        if (sudo_uid && sudo_gid && parse_uint64(sudo_uid, &uid) >= 0 && parse_uint64(sudo_gid, &gid) >= 0 && uid > 0 &&
            uid < UINT32_MAX && gid < UINT32_MAX)
                return (ExecUser){ .other = true, .uid = (uid_t) uid, .gid = (gid_t) gid };
        if (stat(directory ? directory : ".", &st) < 0 || st.st_uid == 0)
                return (ExecUser){ 0 };
        return (ExecUser){ .other = true, .uid = st.st_uid, .gid = st.st_gid };
}

static int drop_rights(uid_t uid, gid_t gid) {
        const struct passwd *user = getpwuid(uid);

        if ((user ? initgroups(user->pw_name, gid) : setgroups(1, &gid)) < 0 || setresgid(gid, gid, gid) < 0 ||
            setresuid(uid, uid, uid) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_error_errno(errno, "Cannot become user %u: %m", (unsigned) uid);
        if (user && setenv("HOME", user->pw_dir, 1) < 0)
                return log_oom();
        return 0;
}

int exec_become(const ExecUser *user) {
        int r = user->other ? drop_rights(user->uid, user->gid) : 0;

        /* After the change of the user, which clears it. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        return r;
}
