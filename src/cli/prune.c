/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `prune`: makes room by removing all that nobody uses at the moment and that can be had again. Never removes an
 * image that is current, nor a generation that is kept. */

#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "maintain/prune.h"
#include "terminal/ask.h"
#include "terminal/table.h"

typedef struct Pruning {
        const Settings *settings;
        Table *table;
        bool json;
        uint64_t bytes;
        size_t n;
        int failure; /* of a kind of things; the others were listed or removed */
        bool lacks_rows;
} Pruning;

static void on_item(void *userdata, const char *kind, const char *name, uint64_t bytes) {
        Pruning *pruning = userdata;
        char size[24];

        if (pruning->json)
                snprintf(size, sizeof(size), "%" PRIu64, bytes);
        else
                (void) format_bytes(bytes, size);
        pruning->bytes += bytes;
        pruning->n++;
        if (table_add(pruning->table, (const char *const[]){ kind, name, size }) < 0)
                pruning->lacks_rows = true;
}

static void on_failure(void *userdata, const char *kind, int error) {
        Pruning *pruning = userdata;

        pruning->failure = log_error_errno(error, "Cannot list or remove everything of kind '%s' in '%s': %m", kind,
                                           pruning->settings->root_dir);
}

/* Lists what there is, and without @dry_run removes it. 0, also with @pruning->failure; or -errno, logged. */
static int work(Pruning *pruning, bool dry_run, bool show) {
        static const TableColumn columns[] = {
                { "kind", COLUMN_TEXT },
                { "name", COLUMN_TEXT, .shortens = true },
                { "size", COLUMN_NUMBER },
                { 0 },
        };
        PruneRequest request = {
                .settings = pruning->settings,
                .dry_run = dry_run,
                .on_item = on_item,
                .on_failure = on_failure,
                .userdata = pruning,
        };

        int r = table_new_logged(dry_run ? "removable" : "removed", columns, pruning->json, &pruning->table);
        if (r < 0)
                return r;
        busy_begin(dry_run ? "Looking for what can go" : "Removing");
        r = prune(&request);
        busy_end();
        if (r < 0 || pruning->lacks_rows)
                return log_oom();
        r = show ? table_print(pruning->table) : 0;
        if (r < 0)
                return log_error_errno(r, "Cannot print the list: %m");
        fflush(stdout);
        table_free(TAKE_PTR(pruning->table));
        return 0;
}

/* 1 to go on, 0 for a "no", 128 + N for signal N, or -errno. */
static int ask(const Pruning *pruning) {
        char question[128], size[FORMAT_BYTES_MAX];
        int signal = 0;

        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        snprintf(question, sizeof(question), "Remove all of this (%s)? [y/N] ", format_bytes(pruning->bytes, size));
        bool yes = ask_yes_or_no(question, false, signal_fd, &signal);
        return signal > 0 ? 128 + signal : yes;
}

static int run(const Invocation *invocation) {
        bool dry_run = invocation_has(invocation, "dry-run"), sure = invocation_has(invocation, "yes");
        bool json = invocation_has(invocation, "json");
        Pruning found = { .settings = invocation->settings, .json = json };
        char size[FORMAT_BYTES_MAX];

        if (!dry_run && !sure && (json || !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO)))) {
                log_error(
                        "There is no terminal to ask whether to remove everything that is not used: add --yes to remove "
                        "it, or --dry-run to see what it is");
                return COMMAND_MISUSED;
        }
        int r = sure && !dry_run ? 0 : work(&found, true, true);
        if (r < 0)
                return r;
        if (!sure && found.n == 0 && found.failure == 0 && !json)
                log_notice("Nothing to remove");
        if (dry_run && found.n > 0 && !json)
                log_notice("That would make up to %s free", format_bytes(found.bytes, size));
        if (dry_run || (!sure && found.n == 0))
                return found.failure;
        r = sure ? 1 : ask(&found);
        if (r != 1)
                return r == 0 ? found.failure : r;

        Pruning removed = { .settings = invocation->settings, .json = json };
        r = work(&removed, false, sure);
        if (!json)
                log_notice("Removed %zu thing%s, %s", removed.n, removed.n == 1 ? "" : "s",
                           format_bytes(removed.bytes, size));
        return r < 0 ? r : removed.failure < 0 ? removed.failure : found.failure;
}

static const CommandOption options[] = {
        { "dry-run", NULL, "only list what would be removed", 0 },
        { "yes", NULL, "do not ask", 0 },
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_prune = {
        .name = "prune",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Free disk space: remove unused data that can be made or fetched again",
};
