/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `metrics`: says how the runner does, for Prometheus: what there is now, and the sums of ended jobs that are in
 * metrics_file. Prints it, writes it to a file, or answers a request of HTTP with it. Changes nothing else. */

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/metrics-http.h"
#include "cli/metrics-now.h"
#include "machine/metrics.h"

/* What cannot be read is named and left out, as in metrics-now.c. 0 or -ENOMEM, logged. */
static int write_sums(FILE *f, const Settings *settings) {
        _cleanup_metrics_sums_ MetricsSums sums = { 0 };

        if (!settings->metrics_file) {
                if (isatty(STDOUT_FILENO))
                        log_notice("Nothing counts the jobs that have ended: the setting metrics_file is not set");
                return 0;
        }
        int r = metrics_file_read(settings->metrics_file, &sums);
        if (r == -ENOMEM)
                return log_oom();
        if (r < 0 && r != -ENOENT) {
                (void) log_warning_errno(r, "Left out of the metrics, because it cannot be read: metrics_file '%s': %m",
                                         settings->metrics_file);
                return 0;
        }
        metrics_sums_write(f, &sums, METRICS_OPEN);
        return 0;
}

static int write_all(FILE *f, const Settings *settings, bool measure) {
        int r = metrics_now_write(f, settings, measure);
        if (r < 0)
                return log_error_errno(r, "Cannot find out what there is in '%s' and '%s': %m", settings->root_dir,
                                       settings->runtime_dir);
        r = write_sums(f, settings);
        if (r < 0)
                return r;
        fputs("# EOF\n", f);
        return 0;
}

/* Whole or not at all. *ret is to be freed. */
static int make_text(const Settings *settings, bool measure, char **ret, size_t *ret_size) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        FILE *f = open_memstream(&text, &size);
        if (!f)
                return log_oom();
        int r = write_all(f, settings, measure);
        bool short_of_memory = ferror(f);
        if (fclose(f) != 0 || short_of_memory)
                return r < 0 ? r : log_oom();
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

static int write_file(const char *path, const char *text, size_t size) {
        _cleanup_free_ char *directory = strdup(path), *base = strdup(path);

        if (!directory || !base)
                return log_oom();
        _cleanup_close_ int dir_fd = open(dirname(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = dir_fd < 0 ? -errno : file_replace_at(dir_fd, basename(base), text, size, 0644);
        return r < 0 ? log_error_errno(r, "Cannot write '%s': %m", path) : 0;
}

static int answer(const Settings *settings, bool measure) {
        HttpRequest request = http_request_read(STDIN_FILENO);
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        int r = request == HTTP_GET || request == HTTP_HEAD ? make_text(settings, measure, &text, &size) : 0;
        int q = http_answer(STDOUT_FILENO, request, text, size);
        if (q < 0)
                log_verbose("The client did not take the answer: %s", strerror(-q));
        return r;
}

static int run(const Invocation *invocation) {
        const char *path = invocation_option(invocation, "output");
        bool measure = invocation_has(invocation, "measure"), http = invocation_has(invocation, "http");
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (http && path) {
                log_error("--http answers on standard output: it does not go with --output");
                return COMMAND_MISUSED;
        }
        if (http)
                return answer(invocation->settings, measure);
        int r = make_text(invocation->settings, measure, &text, &size);
        if (r < 0)
                return r;
        if (path)
                return write_file(path, text, size);
        r = fd_write_all(STDOUT_FILENO, text, size);
        return r < 0 ? log_error_errno(r, "Cannot print the metrics: %m") : 0;
}

static const CommandOption options[] = {
        { "output", "FILE", "replace FILE as a whole, instead of printing", 0 },
        { "measure", NULL, "also measure images, layers and all else on disk, as df does", 0 },
        { "http", NULL, "answer one HTTP request on standard input and output", 0 },
        { 0 },
};

const Command command_metrics = {
        .name = "metrics",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Print jobs, images and disk usage for Prometheus, as OpenMetrics",
};
