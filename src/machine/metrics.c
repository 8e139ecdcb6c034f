/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps the file of metrics. Called by `cleanup`, once for each job, and by a `prepare` that fails; the command
 * `metrics` reads it. Readers must always see a complete file, and a `cleanup` that is killed here must lose no more
 * than the figures of its own job. */

#include "machine/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/string.h"

#define FILE_MAX_BYTES (4 * 1024 * 1024)
#define LOCK_TIMEOUT_USEC (5 * USEC_PER_SEC)

static void add_value(MetricsPair *pair, Metric metric, uint64_t value, double unit) {
        if (value != UINT64_MAX) /* else this host does not tell */
                metrics_pair_add(pair, metric, (double) value / unit);
}

static int add_job(MetricsSums *sums, const MetricsJob *job) {
        char image[METRICS_ESCAPED_MAX], project[METRICS_PROJECT_MAX] = "";

        if (!job->image) {
                sums->failures[job->failure]++;
                return 0;
        }
        metrics_escape(job->image, image);
        if (job->project_id != 0)
                snprintf(project, sizeof(project), "%" PRIu64, job->project_id);
        MetricsPair *pair = metrics_sums_pair(sums, image, project);
        if (!pair)
                return -ENOMEM;
        add_value(pair, METRIC_JOBS, 1, 1);
        add_value(pair, METRIC_CPU, job->usage.cpu_usec, USEC_PER_SEC);
        add_value(pair, METRIC_MEMORY, job->usage.memory_peak_bytes, 1);
        add_value(pair, METRIC_WRITTEN, job->usage.written_bytes, 1);
        add_value(pair, METRIC_RECEIVED, job->usage.received_bytes, 1);
        add_value(pair, METRIC_SENT, job->usage.sent_bytes, 1);
        add_value(pair, METRIC_STEPS, job->steps_usec, USEC_PER_SEC);
        sums->ends[job->end]++;
        if (job->prepare_usec > 0)
                metrics_sums_add_prepare(sums, (double) job->prepare_usec / USEC_PER_SEC);
        return 0;
}

static int write_text(const MetricsSums *sums, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        metrics_sums_write(f, sums, METRICS_PLAIN);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

int metrics_add(const char *text, const MetricsJob *job, char **ret) {
        _cleanup_metrics_sums_ MetricsSums sums = { 0 };

        int r = text ? metrics_sums_read(&sums, text) : 0;
        if (r < 0)
                return r;
        r = add_job(&sums, job);
        return r < 0 ? r : write_text(&sums, ret);
}

/* Opens the file and locks it. Others replace the file, so the one that is locked must also be the one that has the
 * name now. */
static int lock_file(int dir_fd, const char *name) {
        uint64_t deadline = clock_deadline(LOCK_TIMEOUT_USEC);

        while (clock_now_usec() < deadline) {
                _cleanup_close_ int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
                                                0644);
                if (fd < 0)
                        return -errno;
                int r = lock_wait(fd, LOCK_EX, LOCK_TIMEOUT_USEC);
                if (r < 0)
                        return r;
                r = file_is_at(fd, dir_fd, name);
                if (r < 0)
                        return r;
                if (r > 0)
                        return TAKE_FD(fd);
        }
        return -EBUSY;
}

int metrics_file_add(const char *path, const MetricsJob *job) {
        _cleanup_free_ char *directory = strdup(path), *base = strdup(path), *before = NULL, *after = NULL;

        if (!directory || !base)
                return -ENOMEM;
        const char *name = basename(base);
        _cleanup_close_ int dir_fd = open(dirname(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        _cleanup_close_ int fd = lock_file(dir_fd, name);
        if (fd < 0)
                return fd;
        int r = fd_read_all(fd, FILE_MAX_BYTES, &before, NULL);
        if (r < 0 && r != -EFBIG) /* that is not ours */
                return r;
        r = metrics_add(r < 0 ? NULL : before, job, &after);
        return r < 0 ? r : file_replace_at(dir_fd, name, after, strlen(after), 0644);
}

int metrics_file_read(const char *path, MetricsSums *sums) {
        _cleanup_free_ char *text = NULL;

        int r = file_read_at(AT_FDCWD, path, FILE_MAX_BYTES, &text, NULL);
        return r < 0 ? r : metrics_sums_read(sums, text);
}
