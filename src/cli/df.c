/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `df`: how much room images, what jobs wrote, and what is kept for later take up. What several of them share
 * counts once in the total. Only looks; what disappears meanwhile is left out. What cannot be measured is named, and only the
 * exit status says at the end that there was something. */

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/disk-usage.h"
#include "terminal/table.h"

typedef struct Report {
        const char *root_dir;
        bool json;
        Table *table;
} Report;

static const char *size_text(const Report *report, uint64_t bytes, char ret[static 24]) {
        if (!report->json)
                return format_bytes(bytes, ret);
        snprintf(ret, 24, "%" PRIu64, bytes);
        return ret;
}

static int add_row(DiskUsageKind kind, const char *name, const UsageOfTree *tree, void *userdata) {
        const Report *report = userdata;
        char size[24], own[24];

        if (!tree)
                return 0;
        return table_add(report->table,
                         (const char *const[]){ disk_usage_names[kind].row, name, size_text(report, tree->bytes, size),
                                                size_text(report, tree->own_bytes, own) });
}

/* 0; DISK_USAGE_LACKS; or -errno. */
static int fill_and_print(Report *report) {
        char size[24];
        uint64_t total;

        const int outcome = disk_usage_measure(report->root_dir, add_row, report, &total);
        if (outcome < 0)
                return outcome;
        int r = table_add(report->table, (const char *const[]){ "total", NULL, size_text(report, total, size), NULL });
        if (r < 0)
                return r;
        r = table_print(report->table);
        return r < 0 ? r : outcome;
}

static int run(const Invocation *invocation) {
        static const TableColumn columns[] = {
                { "kind", COLUMN_TEXT },
                { "name", COLUMN_TEXT, .shortens = true },
                { "size", COLUMN_NUMBER },
                { "own", COLUMN_NUMBER },
                { 0 },
        };
        Report report = {
                .root_dir = invocation->settings->root_dir,
                .json = invocation_has(invocation, "json"),
        };

        int r = table_new_logged("usage", columns, report.json, &report.table);
        if (r < 0)
                return r;
        r = fill_and_print(&report);
        table_free(report.table);
        if (r == DISK_USAGE_LACKS)
                return -EIO;
        return r < 0 ? log_error_errno(r, "Cannot find out how large all in '%s' is: %m", report.root_dir) : 0;
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_df = {
        .name = "df",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Show how much room images, jobs and what is kept take up",
};
