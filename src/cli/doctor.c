/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `doctor`: runs the checks of the doctor-*.c files and prints a line for each. Whatever a check tries, it
 * undoes. It also runs when the configuration cannot be used, because it is asked why. */

#include "cli/doctor.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"

bool check_optional(_unused_ const Settings *settings) {
        return false;
}

CheckResult check_say(CheckResult result, char detail[static CHECK_DETAIL_MAX], const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(detail, CHECK_DETAIL_MAX, format, ap);
        va_end(ap);
        return result;
}

CheckResult check_errno(int r, char detail[static CHECK_DETAIL_MAX]) {
        return r >= 0 ? CHECK_OK : check_say(CHECK_MISSING, detail, "%s", strerror(-r));
}

int check_in_child(int (*what)(const void *userdata), const void *userdata) {
        int status;
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0) {
                int r = unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 ?
                                -errno :
                                what(userdata);
                _exit(-r); /* error numbers are below 256 */
        }
        int r = process_wait(pid, &status);
        if (r < 0)
                return r;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPROTO;
}

/* Prints one line, unless @terse and jobs can run all the same. Returns whether jobs cannot run because of it. */
static bool report(const Check *check, const Invocation *invocation, bool terse) {
        char detail[CHECK_DETAIL_MAX] = "";
        CheckResult result = check->run(invocation, detail);
        bool required = !check->required || check->required(invocation->settings);

        if (terse && (result != CHECK_MISSING || !required))
                return false;
        printf("%-8s %s",
               result == CHECK_OK                  ? "ok" :
               result == CHECK_MISSING && required ? "missing" :
                                                     "note",
               check->name);
        if (detail[0])
                printf(": %s", detail);
        if (result != CHECK_OK) {
                printf("; %s", check->why);
                /* For anybody else the kernel lacks all that only root may do: that is said at the end. */
                if (check->remedy && geteuid() == 0)
                        printf("; %s", check->remedy);
        }
        putchar('\n');
        /* What is tried next may hang or crash the machine: what was found so far is to be seen. */
        fflush(stdout);
        return result == CHECK_MISSING && required;
}

unsigned doctor_check(const Invocation *invocation, bool terse) {
        static const Check *const tables[] = {
                doctor_host_checks,      doctor_program_checks,  doctor_library_checks, doctor_kernel_checks,
                doctor_directory_checks, doctor_security_checks, doctor_image_checks,   doctor_network_checks,
        };
        unsigned n_missing = 0;

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                /* Which directories are meant is not known then. */
                if ((tables[i] == doctor_directory_checks || tables[i] == doctor_security_checks ||
                     tables[i] == doctor_image_checks || tables[i] == doctor_network_checks) &&
                    invocation->config_problem)
                        continue;
                for (const Check *check = tables[i]; check->name; check++)
                        n_missing += report(check, invocation, terse);
        }
        return n_missing;
}

static int run(const Invocation *invocation) {
        unsigned n_missing = doctor_check(invocation, false);

        if (geteuid() != 0)
                puts("\nOnly root can tell for certain: ask again as root.");
        if (n_missing == 0)
                puts("\nJobs can run on this host.");
        else
                printf("\nJobs cannot run on this host: %u thing%s missing.\n", n_missing,
                       n_missing == 1 ? " is" : "s are");
        return n_missing > 0;
}

const Command command_doctor = {
        .name = "doctor",
        .synopsis = "",
        .flags = COMMAND_STATUS | COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Check whether this host can run jobs",
};
