/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shows what happens in a pipeline that `exec` runs, and writes its report. Called by run.c, as the user whose
 * pipeline it is. What jobs print is theirs: it gets to the terminal through log.c only, and into the report
 * through page-text.c only. */

#include "exec/output.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "base/utf8.h"
#include "exec/summary.h"
#include "terminal/ansi.h"
#include "terminal/time-text.h"

#define NAME_WIDTH_MAX 32U
/* The lines at the bottom are drawn anew after a change, and for their clocks. */
#define DRAW_USEC (100 * USEC_PER_MSEC)
#define CLOCK_USEC USEC_PER_SEC

static const Pipeline *pipeline_of(const ExecOutput *output) {
        return output->setup.state->pipeline;
}

static bool is_given(const char *variable) {
        return !isempty(getenv(variable));
}

static void find_screen(ExecOutput *output) {
        const char *terminal = getenv("TERM");
        bool fit = isatty(STDOUT_FILENO) && !isempty(terminal) && !streq(terminal, "dumb");

        output->screen = (ExecScreen){ stdout, fit && !output->setup.plain, fit && !is_given("NO_COLOR") };
        output->live.screen = output->screen;
}

static void find_name_width(ExecOutput *output) {
        const Pipeline *pipeline = pipeline_of(output);

        output->name_width = 1;
        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                unsigned columns = 0;
                _cleanup_free_ char *plain = ansi_plain(pipeline->jobs[i].name);

                if (output->setup.state->jobs[i].take == RUN_LEAVE || !plain)
                        continue;
                (void) utf8_fit(plain, NAME_WIDTH_MAX, &columns);
                output->name_width = MAX(output->name_width, columns);
        }
}

static int open_report(ExecOutput *output) {
        const char *path = output->setup.report;

        if (!path)
                return 0;
        output->report = file_stream(open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666), "w");
        if (!output->report)
                return log_error_errno(errno, "Cannot write the report '%s': %m", path);
        int r = spool_open(&output->spool, pipeline_of(output)->n_jobs);
        return r < 0 ? log_error_errno(r, "Cannot keep logs for the report: %m") : 0;
}

int exec_output_begin(ExecOutput *output, const ExecOutputSetup *setup) {
        size_t n = setup->state->pipeline->n_jobs + 1;

        *output = (ExecOutput){ .setup = *setup, .begin_usec = clock_now_usec() };
        output->logs = calloc(n, sizeof(ExecLog));
        output->running = calloc(n, sizeof(ExecLiveJob));
        output->tries_of = calloc(n, sizeof(size_t));
        output->tests = calloc(n, sizeof(JunitSummary));
        if (!output->logs || !output->running || !output->tries_of || !output->tests)
                return log_oom();
        find_screen(output);
        find_name_width(output);
        return open_report(output);
}

void exec_output_done(ExecOutput *output) {
        for (size_t i = 0; output->logs && i < pipeline_of(output)->n_jobs; i++)
                exec_log_done(output->logs + i);
        for (size_t i = 0; output->tests && i < pipeline_of(output)->n_jobs; i++)
                junit_done(output->tests + i);
        free(output->tests);
        free(output->logs);
        free(output->running);
        free(output->tries_of);
        free(output->tries);
        spool_done(&output->spool);
        if (output->report)
                (void) fclose(output->report);
        *output = (ExecOutput){ 0 };
}

/* Before anything is printed. */
static void make_room(ExecOutput *output) {
        exec_live_clear(&output->live);
        output->changed = true;
}

static ExecTry *add_try(ExecOutput *output, size_t job, uint64_t now_usec) {
        ExecTry *tries = reallocarray(output->tries, output->n_tries + 1, sizeof(ExecTry));

        if (!tries)
                return NULL;
        output->tries = tries;
        tries[output->n_tries] = (ExecTry){
                .job = job, .begin_usec = now_usec, .end_usec = now_usec, .status = JOB_RUNNING
        };
        return tries + output->n_tries++;
}

void exec_output_job_started(ExecOutput *output, size_t job, unsigned try) {
        ExecLog *log = output->logs + job;
        uint64_t now_usec = clock_now_usec();
        char text[64] = "Starting";

        if (!log->name &&
            exec_log_init(log, pipeline_of(output)->jobs[job].name, (unsigned) job, output->name_width) < 0)
                return;
        if (!add_try(output, job, now_usec))
                return;
        output->tries_of[output->n_running] = output->n_tries - 1;
        output->running[output->n_running++] = (ExecLiveJob){ .job = job, .begin_usec = now_usec };
        if (try > 1) {
                snprintf(text, sizeof(text), "Starting again (try %u)", try);
                spool_add(&output->spool, job, EXEC_LINE_TRY, text);
        }
        make_room(output);
        exec_log_say(log, &output->screen, "1", text);
}

/* Its place among those that run; SIZE_MAX if there was no memory at its start. */
static size_t find_running(const ExecOutput *output, size_t job) {
        for (size_t i = 0; i < output->n_running; i++)
                if (output->running[i].job == job)
                        return i;
        return SIZE_MAX;
}

/* The job's scripts; the stages around them are GitLab Runner's. */
static bool is_own(const char *title) {
        return startswith(title, "Executing") || startswith(title, "Running after_script");
}

void exec_output_section(ExecOutput *output, size_t job, const char *title) {
        size_t i = find_running(output, job);

        if (i == SIZE_MAX)
                return;
        spool_add(&output->spool, job, EXEC_LINE_SECTION, title);
        make_room(output);
        exec_log_stage(output->logs + job, &output->screen, title, is_own(title), clock_now_usec());
        output->running[i].title = output->logs[job].title;
}

void exec_output_line(ExecOutput *output, size_t job, const char *line) {
        if (find_running(output, job) == SIZE_MAX)
                return;
        spool_add(&output->spool, job, EXEC_LINE_LOG, line);
        make_room(output);
        exec_log_line(output->logs + job, &output->screen, line, clock_now_usec());
}

static void say_end(ExecOutput *output, size_t job, const ExecJobResult *result, uint64_t usec) {
        bool allowed = output->setup.state->jobs[job].allow_failure;
        char text[EXEC_REASON_BYTES_MAX], duration[EXEC_DURATION_BYTES_MAX];

        if (result->failure == FAILURE_NONE)
                snprintf(text, sizeof(text), "Job succeeded in %s", exec_duration(usec, duration));
        else
                snprintf(text, sizeof(text), "Job failed: %.480s%s", result->reason,
                         result->again ? "; it will be tried again" :
                         allowed       ? ", which is allowed" :
                                         "");
        spool_add(&output->spool, job, EXEC_LINE_SECTION, text);
        exec_log_say(output->logs + job, &output->screen,
                     result->failure == FAILURE_NONE ? "1;32" :
                     allowed || result->again        ? "1;33" :
                                                       "1;31",
                     text);
}

void exec_output_job_ended(ExecOutput *output, size_t job, const ExecJobResult *result) {
        size_t i = find_running(output, job);
        uint64_t now_usec = clock_now_usec();

        if (i == SIZE_MAX)
                return;
        ExecTry *try = output->tries + output->tries_of[i];
        try->end_usec = now_usec;
        try->status = result->failure == FAILURE_NONE     ? JOB_SUCCESS :
                      result->failure == FAILURE_CANCELED ? JOB_CANCELED :
                                                            JOB_FAILED;
        if (result->failure != FAILURE_NONE)
                snprintf(try->reason, sizeof(try->reason), "%.479s", result->reason);
        make_room(output);
        exec_log_end(output->logs + job, &output->screen, result->failure != FAILURE_NONE, now_usec);
        say_end(output, job, result, now_usec - try->begin_usec);
        exec_log_done(output->logs + job);
        output->n_running--;
        memmove(output->running + i, output->running + i + 1, (output->n_running - i) * sizeof(ExecLiveJob));
        memmove(output->tries_of + i, output->tries_of + i + 1, (output->n_running - i) * sizeof(size_t));
}

void exec_output_cancelled(ExecOutput *output, bool gently) {
        make_room(output);
        puts(gently ? "Cancelled: scripts end now, and after_script still runs. Ctrl-C again ends all at once." :
                      "Cancelled again: all ends at once.");
}

void exec_output_kept(ExecOutput *output, size_t job, const char *id) {
        size_t i = find_running(output, job);

        if (i != SIZE_MAX)
                snprintf(output->tries[output->tries_of[i]].kept, sizeof(output->tries->kept), "%.47s", id);
}

void exec_output_tests(ExecOutput *output, size_t job, const char *text) {
        junit_done(output->tests + job);
        (void) junit_parse(output->tests + job, text);
}

void exec_output_tick(ExecOutput *output) {
        uint64_t now_usec = clock_now_usec();
        struct winsize size;

        if (output->screen.terminal && output->n_running > 0 &&
            now_usec - output->drawn_usec >= (output->changed ? DRAW_USEC : CLOCK_USEC)) {
                bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0 && size.ws_row > 0;

                exec_live_draw(&output->live, output->setup.state, output->running, output->n_running,
                               known ? size.ws_col : 80, known ? size.ws_row : 24, output->begin_usec, now_usec);
                output->drawn_usec = now_usec;
                output->changed = false;
        }
        (void) fflush(stdout);
}

int exec_output_timeout(const ExecOutput *output) {
        if (!output->screen.terminal || output->n_running == 0)
                return -1;
        return clock_poll_timeout(output->drawn_usec + (output->changed ? DRAW_USEC : CLOCK_USEC));
}

static int read_log(void *userdata, size_t job, void (*line)(FILE *to, ExecLineKind kind, const char *text), FILE *to) {
        ExecOutput *output = userdata;

        return spool_read(&output->spool, job, line, to);
}

/* What an earlier report had there stays until now. */
static int replace_report(const ExecPage *page, FILE *file) {
        if (ftruncate(fileno(file), 0) < 0 && errno != EINVAL)
                return -errno;
        int r = exec_page_write(page, file);
        if (r < 0)
                return r;
        return fflush(file) == 0 && !ferror(file) ? 0 : errno > 0 ? -errno : -EIO;
}

static int write_report(ExecOutput *output, const JunitSummary *tests, uint64_t now_usec) {
        char date[TIME_TEXT_BYTES];
        const ExecPage page = {
                .state = output->setup.state,
                .tries = output->tries,
                .n_tries = output->n_tries,
                .begin_usec = output->begin_usec,
                .end_usec = now_usec,
                .project = output->setup.project,
                .ref = output->setup.ref,
                .commit = output->setup.commit,
                .date = time_text(clock_realtime_usec(), false, date),
                .tests = tests,
                .log = read_log,
                .userdata = output,
        };

        if (!output->report)
                return 0;
        int r = replace_report(&page, output->report);
        return r < 0 ? log_error_errno(r, "Cannot write the report '%s': %m", output->setup.report) : 0;
}

static int print_summary(ExecOutput *output, uint64_t now_usec, JunitSummary *tests) {
        for (size_t i = 0; i < pipeline_of(output)->n_jobs; i++) {
                int r = junit_merge(tests, output->tests + i);
                if (r < 0)
                        return r;
        }
        return exec_summary_print(&output->screen, output->setup.state, output->tries, output->n_tries,
                                  now_usec - output->begin_usec, tests);
}

int exec_output_pipeline_ended(ExecOutput *output) {
        uint64_t now_usec = clock_now_usec();
        _cleanup_(junit_done) JunitSummary tests = { 0 };

        exec_live_clear(&output->live);
        int r = print_summary(output, now_usec, &tests);
        if (r < 0)
                (void) log_oom();
        exec_summary_print_kept(&output->screen, output->setup.state, output->tries, output->n_tries,
                                output->setup.shell);
        (void) fflush(stdout);
        int q = write_report(output, &tests, now_usec);
        return r < 0 ? r : q;
}
