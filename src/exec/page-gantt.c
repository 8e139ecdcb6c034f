/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What ran when, in the report of `exec`: a row for each job, a bar for each try. Drawn as SVG. Called by
 * page.c. Names and reasons get into it through page-text.c only. */

#include "base/string.h"
#include "exec/page.h"

#define LABEL_WIDTH 200U
#define CHART_WIDTH 760U
#define DURATION_WIDTH 90U
#define ROW_HEIGHT 24U
#define BAR_HEIGHT 16U
#define TOP 26U
#define LABEL_COLUMNS 23U
#define TICKS_MAX 10U

/* The distance of the lines in seconds: the smallest of those people count in with which there are few of them. */
static uint64_t tick_seconds(uint64_t total_seconds) {
        static const unsigned steps[] = { 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600 };

        for (size_t i = 0; i < ELEMENTSOF(steps); i++)
                if (total_seconds / steps[i] <= TICKS_MAX)
                        return steps[i];
        return (total_seconds / TICKS_MAX / 3600 + 1) * 3600;
}

static double position(const ExecPage *page, uint64_t usec) {
        uint64_t total = MAX(page->end_usec - page->begin_usec, UINT64_C(1));
        uint64_t at = usec > page->begin_usec ? MIN(usec - page->begin_usec, total) : 0;

        return LABEL_WIDTH + (double) at / (double) total * CHART_WIDTH;
}

static void draw_ticks(const ExecPage *page, unsigned height, FILE *to) {
        uint64_t total = (page->end_usec - page->begin_usec) / USEC_PER_SEC, step = tick_seconds(total);

        for (uint64_t second = 0; second <= total; second += step) {
                double x = position(page, page->begin_usec + second * USEC_PER_SEC);

                fprintf(to,
                        "<path class=\"tick\" d=\"M%.1f %uV%u\"/><text class=\"tick\" x=\"%.1f\" y=\"%u\">%llu:%02u</text>\n",
                        x, TOP - 6, height, x, TOP - 12, (unsigned long long) second / 60, (unsigned) (second % 60));
        }
}

static void draw_label(const ExecPage *page, size_t job, unsigned y, FILE *to) {
        const char *name = page->state->pipeline->jobs[job].name;

        fprintf(to, "<a href=\"#log-%zu\"><text x=\"%u\" y=\"%u\" text-anchor=\"end\"><title>", job, LABEL_WIDTH - 8,
                y + 13);
        exec_page_text(to, name, SIZE_MAX);
        fputs("</title>", to);
        exec_page_short_text(to, name, LABEL_COLUMNS);
        fputs("</text></a>\n", to);
}

static void draw_try(const ExecPage *page, const ExecTry *try, unsigned y, bool last, FILE *to) {
        double x = position(page, try->begin_usec), end = position(page, try->end_usec);
        bool allowed = page->state->jobs[try->job].allow_failure;
        ExecStatusLook look = exec_status_look(try->status, allowed);
        char duration[EXEC_DURATION_BYTES_MAX];

        exec_duration(try->end_usec - try->begin_usec, duration);
        fprintf(to, "<g class=\"%s\"><rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%u\" rx=\"3\"><title>",
                look.class, x, y, MAX(end - x, 2.0), BAR_HEIGHT);
        exec_page_text(to, page->state->pipeline->jobs[try->job].name, SIZE_MAX);
        fprintf(to, ": %s, %s", look.word, duration);
        if (try->reason[0])
                fputs(", ", to);
        exec_page_text(to, try->reason, SIZE_MAX);
        fputs("</title></rect>", to);
        if (last)
                fprintf(to, "<text class=\"duration\" x=\"%.1f\" y=\"%u\">%s</text>", MAX(end, x + 2) + 5, y + 13,
                        duration);
        fputs("</g>\n", to);
}

int exec_page_gantt(const ExecPage *page, FILE *to) {
        size_t n_jobs = page->state->pipeline->n_jobs;
        _cleanup_free_ unsigned *rows = calloc(n_jobs + 1, sizeof(unsigned)); /* of each job, from 1 */
        _cleanup_free_ size_t *last = calloc(n_jobs + 1, sizeof(size_t));
        unsigned n_rows = 0, width = LABEL_WIDTH + CHART_WIDTH + DURATION_WIDTH;

        if (!rows || !last)
                return -ENOMEM;
        for (size_t i = 0; i < page->n_tries; i++) {
                size_t job = page->tries[i].job;

                if (rows[job] == 0)
                        rows[job] = ++n_rows;
                last[job] = i;
        }
        unsigned height = TOP + n_rows * ROW_HEIGHT + 4;
        fprintf(to,
                "<svg id=\"gantt\" role=\"img\" aria-label=\"What ran when\" width=\"%u\" height=\"%u\" "
                "viewBox=\"0 0 %u %u\">\n",
                width, height, width, height);
        draw_ticks(page, height, to);
        for (size_t i = 0; i < page->n_tries; i++) {
                size_t job = page->tries[i].job;
                unsigned y = TOP + (rows[job] - 1) * ROW_HEIGHT;

                if (last[job] == i)
                        draw_label(page, job, y, to);
                draw_try(page, page->tries + i, y, last[job] == i, to);
        }
        fputs("</svg>\n", to);
        return 0;
}
