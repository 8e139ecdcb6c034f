/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the environment of a step. step.c calls this. Nothing of the host's environment gets into it, and nothing of the
 * agent's own. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"

int environment_build(const char *lang, const char *shell, const Account *account, char *const *additions,
                      char ***ret) {
        _cleanup_strv_ char **environment = NULL;
        char hostname[HOST_NAME_MAX + 1] = "";

        if (gethostname(hostname, sizeof(hostname)) >= 0 && strv_extendf(&environment, "HOSTNAME=%s", hostname) < 0)
                return -ENOMEM;
        if (strv_extend(&environment, "PATH=" SEARCH_PATH) < 0 ||
            strv_extendf(&environment, "HOME=%s", account->home) < 0 ||
            strv_extendf(&environment, "USER=%s", account->name) < 0 ||
            strv_extendf(&environment, "LOGNAME=%s", account->name) < 0 ||
            strv_extendf(&environment, "LANG=%s", lang) < 0 ||
            strv_extend(&environment, "container=systemd-nspawn") < 0 ||
            strv_extendf(&environment, "SHELL=%s", shell) < 0)
                return -ENOMEM;
        for (; *additions; additions++) {
                int r = strv_set_variable(&environment, *additions);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(environment);
        return 0;
}

/* The kernel takes no longer strings, and not more of them all by far (execve(2)): what does not fit is left out. */
#define VARIABLE_MAX_BYTES (128U * 1024U - 1)
#define VARIABLES_MAX_BYTES ((size_t) 1024 * 1024)

int environment_add_kept(int variables_fd, bool terminal, char ***environment) {
        _cleanup_free_ char *text = NULL;
        size_t size, used = 0;

        if (variables_fd < 0 || lseek(variables_fd, 0, SEEK_SET) < 0)
                return 0;
        int r = fd_read_all(variables_fd, WIRE_VARIABLES_MAX_BYTES, &text, &size);
        if (r < 0)
                return r;
        for (const char *variable = text; variable < text + size; variable += strlen(variable) + 1) {
                size_t length = strlen(variable);

                if (length > VARIABLE_MAX_BYTES || used + length > VARIABLES_MAX_BYTES ||
                    (terminal && startswith(variable, "TERM=")))
                        continue;
                used += length + 1;
                r = strv_set_variable(environment, variable);
                if (r < 0)
                        return r;
        }
        return 0;
}
