/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The report of `exec` as a page: a summary, the graph, what ran when, a table, tests that failed, logs. Called once, when
 * a run has ended. The page needs no other file and no script; what jobs wrote gets into it through page-text.c
 * only. */

#include "exec/page.h"

#include <inttypes.h>

#include "base/string.h"

#define POLICY "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

static const char style[] =
        ":root{color-scheme:light dark;--text:#1f2328;--dim:#59636e;--back:#fff;--line:#d1d9e0;--good:#1a7f37;--bad:#cf222e;"
        "--warn:#9a6700;--off:#6e7781;--hand:#0969da;--box:#f6f8fa}\n"
        "@media(prefers-color-scheme:dark){:root{--text:#f0f6fc;--dim:#9198a1;--back:#0d1117;--line:#3d444d;--good:#3fb950;"
        "--bad:#f85149;--warn:#d29922;--off:#9198a1;--hand:#4493f8;--box:#151b23}}\n"
        "body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:1100px;margin:2em auto;"
        "padding:0 1em}\n"
        "h1{font-size:1.5em;margin:0}h2{font-size:1.15em;margin:2em 0 .5em}p{margin:.3em 0}.dim{color:var(--dim)}\n"
        ".good{--c:var(--good)}.bad{--c:var(--bad)}.warn{--c:var(--warn)}.off{--c:var(--off)}.hand,.runs{--c:var(--hand)}"
        ".waits{--c:var(--off)}\n"
        ".status{color:var(--c);font-weight:600;white-space:nowrap}\n"
        ".wide{overflow-x:auto}svg{font:13px system-ui,sans-serif;display:block}svg text{fill:var(--text)}\n"
        "#graph rect{fill:var(--box);stroke:var(--c);stroke-width:1.5}#graph .sign{fill:var(--c);font-weight:700}"
        "#graph .stage{font-weight:600;fill:var(--dim)}#graph a:hover rect,#graph a:focus rect{stroke-width:3}"
        ".needs path{fill:none;stroke:var(--off);stroke-width:1.2}\n"
        "#gantt rect{fill:var(--c)}#gantt .tick{stroke:var(--line);fill:var(--dim);font-size:11px;text-anchor:middle}"
        "#gantt text.tick{stroke:none}#gantt .duration{fill:var(--dim);font-size:12px}\n"
        "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid "
        "var(--line);vertical-align:top}th{color:var(--dim);font-weight:600}td.n{white-space:nowrap;"
        "font-variant-numeric:tabular-nums}a{color:var(--hand)}td,li{overflow-wrap:anywhere}\n"
        "details{border:1px solid var(--line);border-radius:6px;margin:.5em 0}summary{padding:.4em .8em;cursor:pointer}"
        "pre{margin:0;padding:.8em;background:#0d1117;color:#d7dce2;font:12.5px/1.45 ui-monospace,monospace;"
        "white-space:pre-wrap;overflow-wrap:anywhere;border-radius:0 0 6px 6px}pre i{font-style:normal}pre i.b{font-weight:700}"
        "pre .section{color:#79c0ff}pre .try{color:#d29922}\n"
        ".f1,.f9{color:#8b949e}.f2,.f10{color:#ff7b72}.f3,.f11{color:#56d364}.f4,.f12{color:#e3b341}.f5,.f13{color:#79c0ff}"
        ".f6,.f14{color:#d2a8ff}.f7,.f15{color:#56d4dd}.f8,.f16{color:#fff}\n";

static void write_text(FILE *to, const char *text) {
        exec_page_text(to, text ? text : "", SIZE_MAX);
}

static void write_look(FILE *to, ExecStatusLook look) {
        fprintf(to, "<span class=\"status %s\">%s %s</span>", look.class, look.sign, look.word);
}

static void write_status(FILE *to, JobStatus status, bool allow_failure) {
        write_look(to, exec_status_look(status, allow_failure));
}

static void write_head(const ExecPage *page, FILE *to) {
        const Pipeline *pipeline = page->state->pipeline;
        char duration[EXEC_DURATION_BYTES_MAX];

        fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta http-equiv=\"Content-Security-Policy\" content=\"" POLICY "\">\n"
              "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
              to);
        write_text(to, page->project);
        fprintf(to, ": pipeline %s</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>",
                exec_run_look(page->state).word, style);
        write_text(to, pipeline->name ? pipeline->name : page->project);
        fputs("</h1>\n<p id=\"result\">", to);
        write_look(to, exec_run_look(page->state));
        fprintf(to, " in %s%s</p>\n<p class=\"dim\">", exec_duration(page->end_usec - page->begin_usec, duration),
                exec_run_remark(page->state));
        write_text(to, page->project);
        fputs(", ", to);
        write_text(to, page->ref);
        fputs(", commit ", to);
        write_text(to, page->commit);
        fputs(", ", to);
        write_text(to, page->date);
        fputs("</p>\n", to);
}

typedef struct JobTries {
        const ExecTry *last;
        uint64_t total_usec;
} JobTries;

static void write_row(const ExecPage *page, size_t i, const JobTries *tries, FILE *to) {
        const RunJob *job = page->state->jobs + i;
        char reason[EXEC_REASON_BYTES_MAX], duration[EXEC_DURATION_BYTES_MAX] = "";

        if (tries->last)
                exec_duration(tries->total_usec, duration);
        fprintf(to, "<tr><td><a href=\"#log-%zu\">", i);
        write_text(to, page->state->pipeline->jobs[i].name);
        fputs("</a></td><td>", to);
        write_text(to, page->state->pipeline->jobs[i].stage);
        fputs("</td><td>", to);
        write_status(to, job->status, job->allow_failure);
        fprintf(to, "</td><td class=\"n\">%s</td><td class=\"n\">", duration);
        if (job->n_tries > 0)
                fprintf(to, "%u", job->n_tries);
        fputs("</td><td>", to);
        write_text(to, exec_job_reason(page->state, i, tries->last, reason));
        fputs("</td></tr>\n", to);
}

static void write_table(const ExecPage *page, const JobTries *tries, FILE *to) {
        fputs("<h2>Jobs</h2>\n<div class=\"wide\"><table id=\"jobs\">\n<tr><th>Job</th><th>Stage</th><th>Status</th>"
              "<th>Duration</th><th>Tries</th><th>Reason</th></tr>\n",
              to);
        for (size_t i = 0; i < page->state->pipeline->n_jobs; i++)
                if (page->state->jobs[i].take != RUN_LEAVE)
                        write_row(page, i, tries + i, to);
        fputs("</table></div>\n", to);
}

static void write_tests(const JunitSummary *tests, FILE *to) {
        uint64_t n_bad = tests->n_failed + tests->n_errors;

        fprintf(to,
                "<h2>Tests</h2>\n<p id=\"tests\">%" PRIu64 " test%s, <span class=\"status %s\">%" PRIu64
                " failed</span>, %" PRIu64 " skipped</p>\n<ul>\n",
                tests->n_tests, tests->n_tests == 1 ? "" : "s", n_bad > 0 ? "bad" : "good", n_bad, tests->n_skipped);
        for (size_t i = 0; i < tests->n_failures; i++) {
                const JunitFailure *failure = tests->failures + i;

                fputs("<li>", to);
                write_text(to, failure->class ? failure->class : failure->suite);
                fputs(failure->class || failure->suite ? " · <b>" : "<b>", to);
                write_text(to, failure->name ? failure->name : "a test without a name");
                fputs(failure->message ? "</b>: " : "</b>", to);
                write_text(to, failure->message);
                fputs("</li>\n", to);
        }
        if (n_bad > tests->n_failures)
                fprintf(to, "<li>and %" PRIu64 " more</li>\n", n_bad - tests->n_failures);
        fputs("</ul>\n", to);
}

/* Those that failed are open. A link to the text opens it, too. */
static int write_log(const ExecPage *page, size_t i, FILE *to) {
        const RunJob *job = page->state->jobs + i;

        fprintf(to, "<details%s><summary>", job->status == JOB_FAILED ? " open" : "");
        write_status(to, job->status, job->allow_failure);
        fputs(" ", to);
        write_text(to, page->state->pipeline->jobs[i].name);
        /* The end of a line after the tag is not part of the text. */
        fprintf(to, "</summary><pre id=\"log-%zu\">\n", i);
        int r = page->log ? page->log(page->userdata, i, exec_page_log_line, to) : 0;
        fputs("</pre></details>\n", to);
        return r;
}

static int write_logs(const ExecPage *page, FILE *to) {
        fputs("<h2>Logs</h2>\n", to);
        for (size_t i = 0; i < page->state->pipeline->n_jobs; i++) {
                if (page->state->jobs[i].take == RUN_LEAVE)
                        continue;
                int r = write_log(page, i, to);
                if (r < 0)
                        return r;
        }
        return 0;
}

int exec_page_write(const ExecPage *page, FILE *to) {
        _cleanup_free_ JobTries *tries = calloc(page->state->pipeline->n_jobs + 1, sizeof(JobTries));

        if (!tries)
                return -ENOMEM;
        for (size_t i = 0; i < page->n_tries; i++) {
                tries[page->tries[i].job].last = page->tries + i;
                tries[page->tries[i].job].total_usec += page->tries[i].end_usec - page->tries[i].begin_usec;
        }
        write_head(page, to);
        fputs("<h2>Pipeline</h2>\n<div class=\"wide\">\n", to);
        int r = exec_page_graph(page, to);
        if (r < 0)
                return r;
        fputs("</div>\n<h2>Time</h2>\n<div class=\"wide\">\n", to);
        r = exec_page_gantt(page, to);
        if (r < 0)
                return r;
        fputs("</div>\n", to);
        write_table(page, tries, to);
        if (page->tests && page->tests->n_tests > 0)
                write_tests(page->tests, to);
        r = write_logs(page, to);
        fputs("</body>\n</html>\n", to);
        return r;
}
