/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Draws how far a pipeline is, on a terminal. Called by output.c a few times a second. It writes nothing wider
 * than the terminal: a line that wraps could not be taken off again. Names get there only without control characters. */

#include "exec/live.h"

#include <inttypes.h>

#include "base/string.h"
#include "base/utf8.h"
#include "exec/page.h"
#include "terminal/ansi.h"

/* A line that is cut at the terminal's width; colours take none of it. */
typedef struct Line {
        const ExecLive *live;
        unsigned left;
} Line;

static Line line_begin(ExecLive *live, unsigned columns) {
        live->n_lines++;
        return (Line){ live, columns > 0 ? columns - 1 : 0 };
}

static void line_add(Line *line, const char *style, const char *text) {
        FILE *to = line->live->screen.to;
        bool styled = style && line->live->screen.colours;
        _cleanup_free_ char *plain = ansi_plain(text);
        unsigned columns;

        if (!plain)
                return;
        plain[utf8_fit(plain, line->left, &columns)] = 0;
        if (styled)
                fprintf(to, "\033[%sm", style);
        fputs(plain, to);
        if (styled)
                fputs("\033[0m", to);
        line->left -= columns;
}

static void line_end(Line *line) {
        fputc('\n', line->live->screen.to);
}

/* "1:05", "1:02:03". */
static const char *format_clock(uint64_t usec, char ret[static EXEC_DURATION_BYTES_MAX]) {
        uint64_t seconds = usec / USEC_PER_SEC;

        if (seconds < 3600)
                snprintf(ret, EXEC_DURATION_BYTES_MAX, "%" PRIu64 ":%02u", seconds / 60, (unsigned) (seconds % 60));
        else
                snprintf(ret, EXEC_DURATION_BYTES_MAX, "%" PRIu64 ":%02u:%02u", seconds / 3600,
                         (unsigned) (seconds / 60 % 60), (unsigned) (seconds % 60));
        return ret;
}

void exec_live_clear(ExecLive *live) {
        if (live->n_lines > 0)
                fprintf(live->screen.to, "\r\033[%uA\033[J", live->n_lines);
        live->n_lines = 0;
}

/* "build 2/2", green when all of it went well, red when something failed. */
static void add_stage(Line *line, const RunState *state, size_t first, size_t end, const char *name) {
        size_t n = 0, n_ended = 0;
        unsigned seen = 0;
        char counts[64];

        for (size_t i = first; i < end; i++) {
                const RunJob *job = state->jobs + i;

                if (job->take == RUN_LEAVE)
                        continue;
                n++;
                n_ended += job_status_ended(job->status);
                seen |= STATUS_BIT(status_seen(job->status, job->allow_failure));
        }
        if (n == 0)
                return;
        JobStatus status = status_composite(seen, false);
        snprintf(counts, sizeof(counts), " %zu/%zu  ", n_ended, n);
        const char *style = seen & STATUS_BIT(JOB_FAILED) ? "31" :
                            status == JOB_SUCCESS         ? "32" :
                            status == JOB_RUNNING         ? "1" :
                                                            "2";
        line_add(line, style, name);
        line_add(line, style, counts);
}

static void draw_stages(ExecLive *live, const RunState *state, unsigned columns, uint64_t elapsed_usec) {
        const Pipeline *pipeline = state->pipeline;
        Line line = line_begin(live, columns);
        char clock[EXEC_DURATION_BYTES_MAX];

        line_add(&line, "1", format_clock(elapsed_usec, clock));
        line_add(&line, NULL, "  ");
        for (size_t first = 0, end; first < pipeline->n_jobs; first = end) {
                size_t stage = pipeline->jobs[first].stage_index;

                for (end = first; end < pipeline->n_jobs && pipeline->jobs[end].stage_index == stage;)
                        end++;
                add_stage(&line, state, first, end, pipeline->stages[stage]);
        }
        line_end(&line);
}

static void draw_job(ExecLive *live, const RunState *state, const ExecLiveJob *job, unsigned columns,
                     uint64_t now_usec) {
        const ExecStatusLook look = exec_status_look(state->jobs[job->job].status, false);
        Line line = line_begin(live, columns);
        char clock[EXEC_DURATION_BYTES_MAX];

        line_add(&line, "36", "  ");
        line_add(&line, "36", look.sign);
        line_add(&line, NULL, " ");
        line_add(&line, NULL, state->pipeline->jobs[job->job].name);
        line_add(&line, NULL, "  ");
        line_add(&line, NULL, format_clock(now_usec - job->begin_usec, clock));
        if (job->title) {
                line_add(&line, NULL, "  ");
                line_add(&line, "2", job->title);
        }
        line_end(&line);
}

void exec_live_draw(ExecLive *live, const RunState *state, const ExecLiveJob *jobs, size_t n_jobs, unsigned columns,
                    unsigned rows, uint64_t begin_usec, uint64_t now_usec) {
        /* One row for the stages, one for the line below, where the cursor is. */
        size_t n_max = rows > 3 ? MIN(rows - 3, EXEC_LIVE_JOBS_MAX) : 0, n = MIN(n_jobs, n_max);
        char more[64];

        exec_live_clear(live);
        draw_stages(live, state, columns, now_usec - begin_usec);
        for (size_t i = 0; i < n; i++)
                draw_job(live, state, jobs + i, columns, now_usec);
        if (n_jobs > n && n > 0) {
                Line line = line_begin(live, columns);

                snprintf(more, sizeof(more), "    and %zu more", n_jobs - n);
                line_add(&line, "2", more);
                line_end(&line);
        }
}
