/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: the libraries that are loaded when they are used, a row for each of LIBRARIES in base/library.h. They
 * are loaded as the rest of the program does it, and nothing in them is called. */

#include "base/library.h"
#include "container/supervisor.h"
#include "doctor/check.h"
#include "storage/storage.h"

static bool needed_by_SECCOMP(const Settings *settings) {
        return settings->seccomp;
}

static bool needed_by_SYSTEMD(_unused_ const Settings *settings) {
        return host_is_systemd();
}

static bool needed_by_PRIVATE_NETWORK(const Settings *settings) {
        return settings->network == NETWORK_PRIVATE;
}

static bool needed_by_BTRFS(const Settings *settings) {
        return storage_find(settings->storage) == &storage_btrfs;
}

static bool needed_by_COMMANDS(const Settings *settings) {
        return check_optional(settings);
}

static CheckResult check_library(Library library, char ret_detail[static CHECK_DETAIL_MAX]) {
        static const char *const none[] = { NULL };

        int r = library_load(library, none, NULL);
        return r >= 0 ? CHECK_OK : check_say(CHECK_MISSING, ret_detail, "%s cannot be loaded", library_soname(library));
}

#define FUNCTION(id, soname, package, needed_by, why)                             \
        static CheckResult check_##id(_unused_ const Invocation *invocation,      \
                                      char ret_detail[static CHECK_DETAIL_MAX]) { \
                return check_library(LIBRARY_##id, ret_detail);                   \
        }
LIBRARIES(FUNCTION)

/* What people call it: the soname up to its version. */
#define ROW(id, soname, package, needed_by, why) \
        { package, check_##id, needed_by_##needed_by, why, "install " package },
const Check doctor_library_checks[] = { LIBRARIES(ROW){ 0 } };
