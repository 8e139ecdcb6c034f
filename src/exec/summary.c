/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What `exec` prints when a run has ended. Called by output.c. Names and messages are those of jobs: nothing
 * that could move a cursor is printed. */

#include "exec/summary.h"

#include <inttypes.h>

#include "base/string.h"
#include "base/utf8.h"
#include "terminal/ansi.h"

#define TESTS_MAX 20
#define NAME_WIDTH_MAX 40U

/* @text without control characters and colours, cut at @width if that is not 0, and filled up to it. */
static void print_cell(const ExecScreen *screen, const char *style, const char *text, unsigned width) {
        _cleanup_free_ char *plain = ansi_plain(text);
        unsigned columns = 0;

        if (!plain)
                return;
        if (width > 0)
                plain[utf8_fit(plain, width, &columns)] = 0;
        if (style && screen->colours)
                fprintf(screen->to, "\033[%sm", style);
        fputs(plain, screen->to);
        if (style && screen->colours)
                fputs("\033[0m", screen->to);
        fprintf(screen->to, "%*s", (int) (width - columns), "");
}

static const char *status_style(const char *class) {
        static const struct {
                const char *class, *style;
        } styles[] = { { "good", "32" }, { "bad", "1;31" }, { "warn", "33" }, { "hand", "36" }, { "runs", "36" } };

        for (size_t i = 0; i < ELEMENTSOF(styles); i++)
                if (streq(styles[i].class, class))
                        return styles[i].style;
        return "2";
}

typedef struct Row {
        const ExecTry *last;
        uint64_t total_usec;
} Row;

typedef struct Widths {
        unsigned name, stage;
} Widths;

static unsigned width_of(const char *text) {
        _cleanup_free_ char *plain = ansi_plain(text);
        unsigned columns = 0;

        if (plain)
                (void) utf8_fit(plain, NAME_WIDTH_MAX, &columns);
        return columns;
}

static Widths find_widths(const RunState *state) {
        Widths widths = { strlen("JOB"), strlen("STAGE") };

        for (size_t i = 0; i < state->pipeline->n_jobs; i++) {
                if (state->jobs[i].take == RUN_LEAVE)
                        continue;
                widths.name = MAX(widths.name, width_of(state->pipeline->jobs[i].name));
                widths.stage = MAX(widths.stage, width_of(state->pipeline->jobs[i].stage));
        }
        return widths;
}

static void print_row(const ExecScreen *screen, const RunState *state, size_t i, const Row *row, const Widths *widths) {
        const RunJob *job = state->jobs + i;
        ExecStatusLook look = exec_status_look(job->status, job->allow_failure);
        char reason[EXEC_REASON_BYTES_MAX], duration[EXEC_DURATION_BYTES_MAX] = "-";

        if (row->last)
                exec_duration(row->total_usec, duration);
        print_cell(screen, NULL, state->pipeline->jobs[i].name, widths->name);
        fputs("  ", screen->to);
        print_cell(screen, "2", state->pipeline->jobs[i].stage, widths->stage);
        fputs("  ", screen->to);
        print_cell(screen, status_style(look.class), look.word, strlen("failed (allowed)"));
        fprintf(screen->to, "  %8s", duration);
        exec_job_reason(state, i, row->last, reason);
        if (reason[0]) {
                fputs("  ", screen->to);
                print_cell(screen, NULL, reason, 0);
        }
        fputc('\n', screen->to);
}

static void print_tests(const ExecScreen *screen, const JunitSummary *tests) {
        uint64_t n_bad = tests->n_failed + tests->n_errors;
        size_t n = MIN(tests->n_failures, (size_t) TESTS_MAX);

        fprintf(screen->to, "\nTests: %" PRIu64 ", failed: %" PRIu64 ", skipped: %" PRIu64 "\n", tests->n_tests, n_bad,
                tests->n_skipped);
        for (size_t i = 0; i < n; i++) {
                const JunitFailure *failure = tests->failures + i;
                const char *of = failure->class ? failure->class : failure->suite;

                fputs("  ", screen->to);
                print_cell(screen, NULL, of ? of : "", 0);
                fputs(of ? ": " : "", screen->to);
                print_cell(screen, "31", failure->name ? failure->name : "a test without a name", 0);
                fputs(failure->message ? ": " : "", screen->to);
                print_cell(screen, NULL, failure->message ? failure->message : "", 0);
                fputc('\n', screen->to);
        }
        if (n_bad > n)
                fprintf(screen->to, "  and %" PRIu64 " more\n", n_bad - n);
}

static void print_waiting(const ExecScreen *screen, const RunState *state) {
        bool any = false;

        for (size_t i = 0; i < state->pipeline->n_jobs; i++) {
                if (!run_state_blocks(state, i))
                        continue;
                fputs(any ? ", " : "It waits for somebody to start: ", screen->to);
                print_cell(screen, NULL, state->pipeline->jobs[i].name, 0);
                any = true;
        }
        fputs(any ? " (--manual JOB)\n" : "", screen->to);
}

int exec_summary_print(const ExecScreen *screen, const RunState *state, const ExecTry *tries, size_t n_tries,
                       uint64_t total_usec, const JunitSummary *tests) {
        size_t n = state->pipeline->n_jobs;
        _cleanup_free_ Row *rows = calloc(n + 1, sizeof(Row));
        Widths widths = find_widths(state);
        char duration[EXEC_DURATION_BYTES_MAX];

        if (!rows)
                return -ENOMEM;
        for (size_t i = 0; i < n_tries; i++) {
                rows[tries[i].job].last = tries + i;
                rows[tries[i].job].total_usec += tries[i].end_usec - tries[i].begin_usec;
        }
        fputc('\n', screen->to);
        print_cell(screen, "1", "JOB", widths.name + 2);
        print_cell(screen, "1", "STAGE", widths.stage + 2);
        print_cell(screen, "1", "STATUS", strlen("failed (allowed)") + 2);
        print_cell(screen, "1", "    TIME  REASON", 0);
        fputc('\n', screen->to);
        for (size_t i = 0; i < n; i++)
                if (state->jobs[i].take != RUN_LEAVE)
                        print_row(screen, state, i, rows + i, &widths);
        if (tests && tests->n_tests > 0)
                print_tests(screen, tests);
        ExecStatusLook look = exec_run_look(state);
        fputs("\nPipeline: ", screen->to);
        print_cell(screen, status_style(look.class), look.word, 0);
        fprintf(screen->to, " in %s%s\n", exec_duration(total_usec, duration), exec_run_remark(state));
        print_waiting(screen, state);
        return 0;
}

void exec_summary_print_kept(const ExecScreen *screen, const RunState *state, const ExecTry *tries, size_t n_tries,
                             const char *shell) {
        Widths widths = find_widths(state);
        bool any = false;

        for (size_t i = 0; i < n_tries; i++) {
                if (!tries[i].kept[0])
                        continue;
                if (!any)
                        fputs("\nContainers of failed jobs stay for a while. To look into them:\n", screen->to);
                any = true;
                fputs("  ", screen->to);
                print_cell(screen, NULL, state->pipeline->jobs[tries[i].job].name, widths.name);
                fprintf(screen->to, "  %s %s\n", shell, tries[i].kept);
        }
}
