/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs the checks of the other files here and shows a line for each, for `doctor` and `setup`. Whatever a check tries,
 * it must undo. */

#include "doctor/check.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "terminal/table.h"
#include "terminal/window.h"

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

/* The width of "missing " and a space. */
#define WORD_COLUMNS 9

/* How checks are shown. */
typedef struct Output {
        bool terse;  /* only checks that keep jobs from running */
        Table *json; /* NULL: lines for people */
} Output;

static void print_line(const Check *check, const char *word, const char *detail, bool ok) {
        bool colors = log_has_colors(STDOUT_FILENO);
        const char *color = streq(word, "ok") ? "\033[32m" : streq(word, "missing") ? "\033[1;31m" : "\033[33m";

        /* Without root, most checks of the kernel fail; the end of the output says so. */
        const char *remedy = !ok && geteuid() == 0 ? check->remedy : NULL;
        _cleanup_free_ char *text = NULL;

        int r = string_printf(&text, "%s%s%s%s%s%s%s", check->name, detail[0] ? ": " : "", detail, ok ? "" : "; ",
                              ok ? "" : check->why, remedy ? "; " : "", remedy ? remedy : "");
        printf("%s%-8s%s ", colors ? color : "", word, colors ? "\033[0m" : "");
        window_print(stdout, window_width(STDOUT_FILENO), WORD_COLUMNS, WORD_COLUMNS, r < 0 ? check->name : text);
        /* What is tried next may hang or crash the machine: what was found so far is to be seen. */
        fflush(stdout);
}

/* Shows one check. Returns whether jobs cannot run because of it. */
static bool report(const Check *check, const Invocation *invocation, const Output *output) {
        char detail[CHECK_DETAIL_MAX] = "";
        CheckResult result = check->run(invocation, detail);
        bool required = !check->required || check->required(invocation->settings);
        bool missing = result == CHECK_MISSING && required, ok = result == CHECK_OK;
        const char *word = ok ? "ok" : missing ? "missing" : "note";

        if (output->terse && !missing)
                return false;
        if (!output->json)
                print_line(check, word, detail, ok);
        else if (table_add(output->json, (const char *const[]){ word, check->name, detail[0] ? detail : NULL,
                                                                ok ? NULL : check->why, ok ? NULL : check->remedy }) <
                 0)
                (void) log_oom();
        return missing;
}

static unsigned check_all(const Invocation *invocation, const Output *output) {
        static const Check *const tables[] = {
                doctor_host_checks,   doctor_program_checks,   doctor_library_checks,
                doctor_kernel_checks, doctor_directory_checks, doctor_security_checks,
                doctor_image_checks,  doctor_network_checks,   doctor_runner_checks,
        };
        unsigned n_missing = 0;

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                /* Without a configuration, these checks do not know their directories. */
                if ((tables[i] == doctor_directory_checks || tables[i] == doctor_security_checks ||
                     tables[i] == doctor_image_checks || tables[i] == doctor_network_checks) &&
                    invocation->config_problem)
                        continue;
                for (const Check *check = tables[i]; check->name; check++)
                        n_missing += report(check, invocation, output);
        }
        return n_missing;
}

unsigned doctor_check(const Invocation *invocation, bool terse) {
        return check_all(invocation, &(Output){ .terse = terse });
}

int doctor_check_json(const Invocation *invocation, unsigned *ret_n_missing) {
        static const TableColumn columns[] = {
                { "result", COLUMN_TEXT }, { "name", COLUMN_TEXT },   { "detail", COLUMN_TEXT },
                { "why", COLUMN_TEXT },    { "remedy", COLUMN_TEXT }, { 0 },
        };
        _cleanup_table_ Table *table = NULL;

        int r = table_new_logged("checks", columns, true, &table);
        if (r < 0)
                return r;
        unsigned n_missing = check_all(invocation, &(Output){ .json = table });
        r = table_print(table);
        if (r < 0)
                return log_error_errno(r, "Cannot print what was found: %m");
        *ret_n_missing = n_missing;
        return 0;
}
