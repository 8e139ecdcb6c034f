/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps what jobs produce, and passes it on to later jobs. Called by the process of a job, as the user who called
 * `exec`. Jobs choose the content: what is read of it is limited, and the files of --artifacts are made by extract.c,
 * never here. */

#include "local/artifacts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/new-file.h"
#include "base/string.h"
#include "local/archive.h"
#include "pipeline/dotenv.h"
#include "pipeline/junit.h"
#include "wire/bundle.h"

#define ARCHIVE_SUFFIX ".zip"
#define DOTENV_SUFFIX ".env"
/* Of a file without content that is there if the job has begun in this run. */
#define BEGUN_SUFFIX ".begun"
#define REPORT_BYTES_MAX ((uint64_t) 64 * 1024 * 1024)

static int path_in(const char *directory, const char *job, const char *suffix, char **ret) {
        _cleanup_free_ char *name = NULL;

        int r = hash_file_name(job, suffix, &name);
        return r < 0 ? r : string_printf(ret, "%s/%s", directory, name);
}

/* Finds the file that later jobs of this run get: what @job has left in this run, if it is part of it; else what it left
 * last. Other runs of the same working copy may be replacing that. */
static int path_to_read(const LocalStore *store, const char *job, const char *suffix, char **ret) {
        _cleanup_free_ char *begun = NULL;

        int r = store->run ? path_in(store->run, job, BEGUN_SUFFIX, &begun) : 0;
        if (r < 0)
                return r;
        return path_in(begun && access(begun, F_OK) >= 0 ? store->run : store->artifacts, job, suffix, ret);
}

int artifacts_forget(const LocalStore *store, const char *job) {
        static const char *const suffixes[] = { ARCHIVE_SUFFIX, DOTENV_SUFFIX };
        _cleanup_free_ char *begun = NULL;

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *path = NULL, *own = NULL;

                if (path_in(store->artifacts, job, suffixes[i], &path) >= 0)
                        (void) unlink(path);
                if (path_in(store->run, job, suffixes[i], &own) >= 0)
                        (void) unlink(own);
        }
        int r = path_in(store->run, job, BEGUN_SUFFIX, &begun);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open(begun, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : 0;
}

bool artifacts_are_there(const LocalStore *store, const char *job) {
        _cleanup_free_ char *path = NULL;

        return path_to_read(store, job, ARCHIVE_SUFFIX, &path) >= 0 && access(path, F_OK) >= 0;
}

int artifacts_download(const Keeper *keeper, const char *from) {
        _cleanup_free_ char *path = NULL;

        int r = path_to_read(keeper->store, from, ARCHIVE_SUFFIX, &path);
        if (r < 0)
                return r;
        caller_log(keeper->caller, "\033[32;1mDownloading artifacts for %s...\033[0;m", from);
        return files_put(keeper->caller, path, keeper->store->path);
}

/* A directory for each job, with the files as they are in the project. */
static int copy_out(const Keeper *keeper, int bundle_fd, Problem *reterr_problem) {
        const LocalJob *job = keeper->caller->job;
        char name[256];
        size_t n = 0, n_left_out;

        for (const char *p = job->job->name; *p && n < sizeof(name) - 1; p++, n++)
                name[n] = *p == '/' || (unsigned char) *p < ' ' || (*p == '.' && n == 0) ? '-' : *p;
        name[n] = 0;
        if (mkdir(keeper->directory, 0777) < 0 && errno != EEXIST)
                return problem_set(reterr_problem, -errno, "cannot make '%s': %m", keeper->directory);
        _cleanup_close_ int all_fd = open(keeper->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = all_fd < 0 ? -errno : open_directory_at(all_fd, name, true, 0777);
        if (fd < 0)
                return problem_set(reterr_problem, fd, "cannot make '%s/%s': %m", keeper->directory, name);
        if (lseek(bundle_fd, 0, SEEK_SET) < 0)
                return -errno;
        int r = bundle_to_directory(keeper->caller, bundle_fd, fd, &n_left_out, reterr_problem);
        if (r < 0)
                return r;
        if (n_left_out > 0)
                caller_log(keeper->caller, "\033[0;33mWARNING: %zu symlinks that lead outside were not copied\033[0;m",
                           n_left_out);
        return 0;
}

/* Where later runs find it, and where this one does. */
static int paths_to_write(const Keeper *keeper, const char *suffix, char **ret_path, char **ret_own) {
        const char *job = keeper->caller->job->job->name;

        int r = path_in(keeper->store->artifacts, job, suffix, ret_path);
        return r < 0 ? r : path_in(keeper->store->run, job, suffix, ret_own);
}

/* What the job's artifacts are, in the store and, if somebody asked for them, in a directory. */
static int keep(const Keeper *keeper, int bundle_fd, Problem *reterr_problem) {
        const LocalJob *job = keeper->caller->job;
        _cleanup_free_ char *path = NULL, *own = NULL;

        int r = paths_to_write(keeper, ARCHIVE_SUFFIX, &path, &own);
        if (r < 0)
                return r;
        r = keeper_keep(keeper, bundle_fd, path, own, ARCHIVE_ZIP, keeper_level(job, "ARTIFACT_COMPRESSION_LEVEL"),
                        reterr_problem);
        if (r < 0)
                return r;
        return keeper->directory ? copy_out(keeper, bundle_fd, reterr_problem) : 0;
}

static int upload_files(const Keeper *keeper, const Value *config) {
        _cleanup_close_ int fd = -EBADF;
        Problem problem = { 0 };
        size_t n;

        int r = keeper_take(keeper, config, &fd, &n);
        if (r < 0 || fd < 0)
                return r;
        if (n == 0) {
                caller_log(keeper->caller, "\033[31;1mERROR: No files to upload\033[0;m");
                return 0;
        }
        caller_log(keeper->caller, "Found %zu matching artifact files and directories", n);
        r = keep(keeper, fd, &problem);
        if (r < 0)
                caller_log(keeper->caller, "\033[31;1mERROR: %s\033[0;m", problem_text(&problem, r));
        return r;
}

/* The present entry's content, with a NUL behind it. */
static int read_content(BundleReader *bundle, uint64_t bytes, char **ret_data, size_t *ret_size) {
        _cleanup_free_ char *text = calloc(1, bytes + 1);
        size_t size = 0, piece;
        const void *data;

        if (!text)
                return -ENOMEM;
        for (;;) {
                int r = bundle_read(bundle, &data, &piece);
                if (r < 0)
                        return r;
                if (piece == 0)
                        break;
                memcpy(text + size, data, piece);
                size += piece;
        }
        *ret_data = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

/* The contents of a report's files, one after the other. */
typedef int (*ReportReader)(const Keeper *keeper, const char *path, const char *data, size_t size, void *userdata);

static int read_report(const Keeper *keeper, const char *kind, const Value *reports, ReportReader reader,
                       void *userdata) {
        const FileSelection selection = { .paths = selection_globs(keeper->caller, reports, kind) };
        _cleanup_bundle_reader_ BundleReader bundle = { 0 };
        _cleanup_close_ int fd = -EBADF;
        static BundleEntry entry;
        size_t n;

        if (selection.paths->n_items == 0)
                return 0;
        int r = files_take(keeper->caller, &selection, keeper->store->path, &fd, &n);
        if (r < 0)
                return r;
        r = bundle_reader_init(&bundle, fd);
        if (r < 0)
                return r;
        while ((r = bundle_next(&bundle, &entry)) > 0) {
                _cleanup_free_ char *text = NULL;
                size_t size;

                if (entry.type != BUNDLE_FILE || entry.size > REPORT_BYTES_MAX)
                        continue;
                r = read_content(&bundle, entry.size, &text, &size);
                if (r < 0)
                        return r;
                r = reader(keeper, entry.path, text, size, userdata);
                if (r < 0)
                        return r;
        }
        return r;
}

/* The files of a report become one, with GitLab's limits for all of them together. */
typedef struct DotenvReport {
        int fd;
        size_t size;
        bool in_line; /* the last line has no newline yet */
        Variables variables;
} DotenvReport;

static int refuse_dotenv(const Keeper *keeper, const char *path, const char *problem) {
        caller_log(keeper->caller, "\033[31;1mERROR: dotenv report %s: %s\033[0;m", path, problem);
        return -EBADMSG;
}

static int take_dotenv(const Keeper *keeper, const char *path, const char *data, size_t size, void *userdata) {
        DotenvReport *report = userdata;
        const char *problem;

        if (dotenv_read(data, size, &report->variables, &problem) < 0)
                return refuse_dotenv(keeper, path, problem);
        if (report->in_line && size > 0) {
                int r = fd_write_all(report->fd, "\n", 1);
                if (r < 0)
                        return r;
                report->size++;
        }
        report->size += size;
        if (report->size >= DOTENV_BYTES_MAX)
                return refuse_dotenv(keeper, path, "the files of the report are too long together");
        if (size > 0)
                report->in_line = data[size - 1] != '\n';
        return fd_write_all(report->fd, data, size);
}

static int upload_dotenv(const Keeper *keeper, const Value *reports) {
        _cleanup_free_ char *path = NULL, *own = NULL, *fresh = NULL;

        if (!map_get_set(reports, "dotenv"))
                return 0;
        int r = paths_to_write(keeper, DOTENV_SUFFIX, &path, &own);
        if (r < 0)
                return r;
        r = keeper_fresh(keeper->store, &fresh);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        DotenvReport report = { .fd = fd, .variables = { .arena = keeper->caller->job->arena } };
        r = read_report(keeper, "dotenv", reports, take_dotenv, &report);
        if (r == 0)
                r = keeper_publish(fresh, path, own);
        if (r < 0)
                (void) unlink(fresh);
        return r;
}

static int take_junit(const Keeper *keeper, const char *path, const char *data, size_t size, void *userdata) {
        _cleanup_free_ char *problem = NULL;

        int r = junit_add(userdata, data, size, &problem);
        if (r < 0)
                caller_log(keeper->caller, "\033[0;33mWARNING: report of tests %s: %s\033[0;m", path,
                           problem ? problem : strerror(-r));
        return 0;
}

/* For the summary of the whole run. */
static int tell_tests(const Keeper *keeper, const JunitSummary *summary) {
        _cleanup_free_ char *text = NULL;

        int r = junit_format(summary, EVENT_TEXT_MAX, &text);
        return r < 0 ? r : event_send_text(keeper->caller->events_fd, EVENT_TESTS, text, strlen(text));
}

/* In the log: nobody has to read the file. */
static void log_tests(const Keeper *keeper, const JunitSummary *summary) {
        caller_log(keeper->caller, "Tests: %llu, failed %llu, errors %llu, skipped %llu",
                   (unsigned long long) summary->n_tests, (unsigned long long) summary->n_failed,
                   (unsigned long long) summary->n_errors, (unsigned long long) summary->n_skipped);
        for (size_t i = 0; i < summary->n_failures; i++) {
                const JunitFailure *failure = summary->failures + i;

                caller_log(keeper->caller, "  %s %s%s%s%s",
                           failure->is_error ? "error:" : "failed:", failure->class ? failure->class : "",
                           failure->class ? "." : "", failure->name ? failure->name : "?", "");
                if (failure->message)
                        caller_log(keeper->caller, "    %s", failure->message);
        }
}

static int show_junit(const Keeper *keeper, const Value *reports) {
        _cleanup_(junit_done) JunitSummary summary = { .masked = &keeper->caller->job->variables };

        if (!map_get_set(reports, "junit"))
                return 0;
        int r = read_report(keeper, "junit", reports, take_junit, &summary);
        if (r < 0)
                return r;
        log_tests(keeper, &summary);
        return tell_tests(keeper, &summary);
}

int artifacts_upload(const Keeper *keeper, bool success) {
        const LocalJob *job = keeper->caller->job;
        const Value *config = map_get_set(job->job->config, "artifacts"), *reports = map_get_set(config, "reports");

        if (!config || (!keeper_is_due(job, config, success) && !reports))
                return 0;
        caller_log(keeper->caller, "\033[32;1mUploading artifacts...\033[0;m");
        int r = keeper_is_due(job, config, success) ? upload_files(keeper, config) : 0;
        if (r < 0)
                return r;
        /* Reports are wanted in any case. */
        r = show_junit(keeper, reports);
        return r < 0 ? r : upload_dotenv(keeper, reports);
}

void artifacts_read_dotenv(const LocalStore *store, const char *from, Variables *variables) {
        _cleanup_free_ char *path = NULL, *data = NULL;
        Variables own = { .arena = variables->arena };
        const char *problem;
        size_t size;

        if (path_to_read(store, from, DOTENV_SUFFIX, &path) < 0 ||
            file_read_at(AT_FDCWD, path, (size_t) REPORT_BYTES_MAX, &data, &size) < 0 ||
            dotenv_read(data, size, &own, &problem) < 0)
                return;
        variables_set_all(variables, &own);
}

int artifacts_read_file(const LocalStore *store, const char *job, const char *file, size_t max_bytes, char **ret_data,
                        size_t *ret_size) {
        _cleanup_bundle_reader_ BundleReader bundle = { 0 };
        _cleanup_free_ char *path = NULL;
        static BundleEntry entry;
        Problem problem = { 0 };

        int r = path_to_read(store, job, ARCHIVE_SUFFIX, &path);
        if (r < 0)
                return r;
        _cleanup_close_ int archive_fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (archive_fd < 0)
                return -errno;
        _cleanup_close_ int bundle_fd = file_open_unnamed(store->path);
        if (bundle_fd < 0)
                return bundle_fd;
        r = archive_to_bundle(NULL, archive_fd, bundle_fd, &problem);
        if (r < 0)
                return r;
        if (lseek(bundle_fd, 0, SEEK_SET) < 0)
                return -errno;
        r = bundle_reader_init(&bundle, bundle_fd);
        if (r < 0)
                return r;
        while ((r = bundle_next(&bundle, &entry)) > 0)
                if (entry.type == BUNDLE_FILE && streq(entry.path, file) && entry.size <= max_bytes)
                        return read_content(&bundle, entry.size, ret_data, ret_size);
        return r < 0 ? r : -ENOENT;
}
