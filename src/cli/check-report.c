/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints what command `check` found: to people as it is found, or as JSON when all is known. Called by check.c only; looks
 * at nothing by itself. */

#include "cli/check-report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/string.h"

enum { IMAGE, SETTING, VALUE, FROM, N_COLUMNS };
static const TableColumn columns[N_COLUMNS + 1] = {
        [IMAGE] = { "image", COLUMN_TEXT, .rank = 1 },
        [SETTING] = { "setting", COLUMN_TEXT },
        [VALUE] = { "value", COLUMN_TEXT, .shortens = true },
        [FROM] = { "from", COLUMN_TEXT, .shortens = true },
};

int check_report_init(CheckReport *report, bool json) {
        *report = (CheckReport){ .json = json };
        if (json) {
                report->files = json_array();
                report->settings = json_array();
                return report->files && report->settings ? 0 : log_oom();
        }
        return table_new_logged("settings", columns, false, &report->table);
}

void check_report_done(CheckReport *report) {
        json_decref(report->files);
        json_decref(report->settings);
        table_free(report->table);
}

int check_report_begin(CheckReport *report, const char *path, const char *image) {
        report->file = path;
        report->n_faults_before = report->n_faults;
        if (!report->json)
                return 0;
        report->findings = json_array();
        json_t *file = json_pack("{s:s, s:s, s:s?, s:o}", "path", path, "kind", image ? "definition" : "configuration",
                                 "image", image, "findings", report->findings);
        return file && json_array_append_new(report->files, file) == 0 ? 0 : log_oom();
}

void check_report_finding(CheckReport *report, bool is_warning, const Problem *problem, int error) {
        Problem placed = *problem;
        char text[PROBLEM_DESCRIPTION_MAX];

        report->n_faults += !is_warning;
        if (!placed.file)
                placed.file = report->file;
        if (placed.line > 0 && placed.column == 0)
                placed.column = 1;
        if (!report->json) {
                (void) log_full(is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, 0, "%s",
                                problem_describe(&placed, error, text));
                return;
        }
        json_t *line = placed.line > 0 ? json_integer(placed.line) : json_null();
        json_t *finding = json_pack("{s:s, s:o, s:s}", "level", is_warning ? "warning" : "error", "line", line, "text",
                                    problem_text(&placed, error));
        if (!finding || json_array_append_new(report->findings, finding) < 0)
                (void) log_oom();
}

void check_report_end(CheckReport *report, const char *about) {
        if (!report->json && report->n_faults == report->n_faults_before)
                printf("%s: %s\n", report->file, about);
        fflush(stdout);
}

static int add_json(CheckReport *report, const char *image, const SettingInfo *info, const char *value,
                    const char *file, unsigned line) {
        json_t *setting = json_pack("{s:s?, s:s, s:s, s:s?, s:o}", "image", image, "name", setting_name(info), "value",
                                    value, "from", file, "line", line > 0 ? json_integer(line) : json_null());
        return setting && json_array_append_new(report->settings, setting) == 0 ? 0 : log_oom();
}

int check_report_setting(CheckReport *report, const char *image, const Settings *settings, const SettingInfo *info,
                         const char *file, unsigned line) {
        _cleanup_free_ char *value = NULL, *from = NULL;

        if (setting_format(settings, info, &value) < 0)
                return log_oom();
        if (report->json)
                return add_json(report, image, info, value, file, line);
        /* In a window, the line number matters more than the path, which is above. */
        const char *slash = file && isatty(STDOUT_FILENO) ? strrchr(file, '/') : NULL, *name = slash ? slash + 1 : file;
        int r = line > 0 ? string_printf(&from, "%s:%u", name, line) : string_replace(&from, name ? name : "default");
        if (r < 0)
                return log_oom();
        r = table_add(report->table, (const char *const[]){ image, setting_name(info), value, from });
        return r < 0 ? log_oom() : 0;
}

int check_report_print(CheckReport *report) {
        if (!report->json) {
                putchar('\n');
                fflush(stdout);
                int r = table_print(report->table);
                return r < 0 ? log_error_errno(r, "Cannot print the settings: %m") : 0;
        }
        json_t *all = json_pack("{s:b, s:O, s:O}", "ok", report->n_faults == 0, "files", report->files, "settings",
                                report->settings);
        if (!all)
                return log_oom();
        int r = json_dumpf(all, stdout, JSON_INDENT(3));
        json_decref(all);
        return r < 0 || putchar('\n') == EOF ? log_error_errno(EIO, "Cannot print the report: %m") : 0;
}
