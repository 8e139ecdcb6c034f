/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Calls the driver's stages for one job, with the environment and the files that GitLab Runner gives them. Called by the
 * broker, as root. What comes from clients is hostile: it is put into the environment only behind CUSTOM_ENV_, and into
 * files only in a directory that is ours. It is only read from sealed memory files: another file can make us wait for ever, as
 * one of FUSE does. */

#include "local/broker-job.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/custom-executor.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/string.h"

#define DIRECTORY "exec"
#define RESPONSE "response.json"
#define EXIT_CODE "build_exit_code"
#define SCRIPT "script"
#define BYTES_MAX ((size_t) 16 * 1024 * 1024)

/* Variables that belong to one job: those of the caller's session must not reach the driver. */
static bool is_ours(const char *assignment) {
        static const char *const names[] = { CUSTOM_ENV_PREFIX,           JOB_RESPONSE_VARIABLE "=",
                                             EXIT_CODE_VARIABLE "=",      BUILD_FAILURE_VARIABLE "=",
                                             SYSTEM_FAILURE_VARIABLE "=", "TMPDIR=",
                                             LOCAL_OWNER_VARIABLE "=",    LOCAL_KEEP_VARIABLE "=" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (startswith(assignment, names[i]))
                        return true;
        return false;
}

static int add_variables(int fd, StringList *environment) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = memfd_read_sealed(fd, BYTES_MAX, &data, &size);
        if (r < 0)
                return r;
        for (char *p = data; p < data + size; p += strlen(p) + 1) {
                if (!strchr(p, '=') || *p == '=')
                        continue;
                r = string_list_addf(environment, CUSTOM_ENV_PREFIX "%s", p);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What the broker's own environment has, without what is for one job. */
static int copy_environment(StringList *environment) {
        for (char **p = environ; p && *p; p++) {
                if (is_ours(*p))
                        continue;
                int r = string_list_add(environment, *p);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int make_environment(const BrokerJob *job, const BrokerCalls *calls, int variables_fd, char ***ret) {
        _cleanup_string_list_ StringList environment = { 0 };

        int r = copy_environment(&environment);
        if (r < 0)
                return r;
        r = string_list_addf(&environment, "TMPDIR=%s", job->directory);
        if (r < 0)
                return r;
        r = string_list_addf(&environment, JOB_RESPONSE_VARIABLE "=%s/" RESPONSE, job->directory);
        if (r < 0)
                return r;
        r = string_list_addf(&environment, EXIT_CODE_VARIABLE "=%s/" EXIT_CODE, job->directory);
        if (r < 0)
                return r;
        r = string_list_addf(&environment, BUILD_FAILURE_VARIABLE "=%d", BROKER_BUILD_FAILURE);
        if (r < 0)
                return r;
        r = string_list_addf(&environment, SYSTEM_FAILURE_VARIABLE "=%d", BROKER_SYSTEM_FAILURE);
        if (r < 0)
                return r;
        r = string_list_addf(&environment, LOCAL_OWNER_VARIABLE "=%d", (int) getpid());
        if (r < 0)
                return r;
        r = string_list_addf(&environment, LOCAL_KEEP_VARIABLE "=%" PRIu64, calls->keep_usec);
        if (r < 0)
                return r;
        r = variables_fd >= 0 ? add_variables(variables_fd, &environment) : 0;
        if (r < 0)
                return r;
        *ret = string_list_take(&environment);
        return 0;
}

/* With lock: as long as it is held, nobody else removes the directory. */
static int make_directory(BrokerJob *job, const char *runtime_dir) {
        _cleanup_free_ char *parent = NULL, *path = NULL;

        int r = string_printf(&parent, "%s/" DIRECTORY, runtime_dir);
        if (r < 0)
                return r;
        r = mkdir_parents(parent, 0700);
        if (r < 0)
                return r;
        r = string_printf(&path, "%s/XXXXXX", parent);
        if (r < 0)
                return r;
        for (unsigned tries = 0; tries < 10; tries++) {
                strcpy(path + strlen(path) - 6, "XXXXXX");
                if (!mkdtemp(path))
                        return -errno;
                int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                /* Somebody may have collected it already. */
                if (fd >= 0 && lock_try(fd, LOCK_EX) == 0 && access(path, F_OK) >= 0) {
                        job->directory_fd = fd;
                        job->directory = TAKE_PTR(path);
                        return 0;
                }
                closep(&fd);
        }
        return -EBUSY;
}

static int write_file(const BrokerJob *job, const char *name, const void *data, size_t size) {
        _cleanup_close_ int fd = openat(job->directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                                        0600);

        return fd < 0 ? -errno : fd_write_all(fd, data, size);
}

int broker_job_open(BrokerJob *job, const char *runtime_dir, int response_fd) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        if (job->directory)
                return -EALREADY;
        int r = memfd_read_sealed(response_fd, BYTES_MAX, &data, &size);
        if (r < 0)
                return r;
        json_auto_t *root = json_loadb(data, size, JSON_ALLOW_NUL, NULL);
        json_t *git = json_object_get(root, "git_info"), *about = json_object_get(root, "job_info");
        if (!json_is_object(git) || !json_is_object(about))
                return -EBADMSG;
        if (json_object_set_new(git, "repo_url", json_string("")) < 0 ||
            json_object_set_new(git, "protected", json_false()) < 0 ||
            json_object_set_new(about, "project_id", json_integer(0)) < 0)
                return -ENOMEM;
        r = make_directory(job, runtime_dir);
        if (r < 0)
                return r;
        char *text = json_dumps(root, JSON_COMPACT);
        r = text ? write_file(job, RESPONSE, text, strlen(text)) : -ENOMEM;
        free(text);
        return r;
}

static int take_script(const BrokerJob *job, int fd) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = memfd_read_sealed(fd, BYTES_MAX, &data, &size);
        return r < 0 ? r : write_file(job, SCRIPT, data, size);
}

/* None of them can be taken for an option. */
static int add_client_arguments(char *const *arguments, char ***argv) {
        int r = strv_extend(argv, "--");
        return r < 0 ? r : strv_extend_strv(argv, arguments);
}

static int make_arguments(const BrokerJob *job, const BrokerCalls *calls, BrokerStage stage, char *const *arguments,
                          char ***ret) {
        static const char *const names[] = { "gitlab-config", "prepare", "run", "exec-step", "cleanup", "cleanup" };
        _cleanup_strv_ char **argv = NULL;

        int r = strv_extend_strv(&argv, calls->command);
        if (r < 0)
                return r;
        r = strv_extend(&argv, names[stage]);
        if (r < 0)
                return r;
        r = stage == BROKER_CLEANUP ? strv_extend(&argv, "--now") : 0;
        if (r < 0)
                return r;
        r = stage == BROKER_RUN ? strv_extendf(&argv, "%s/" SCRIPT, job->directory) : 0;
        if (r < 0)
                return r;
        r = stage == BROKER_RUN || stage == BROKER_STEP ? add_client_arguments(arguments, &argv) : 0;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

static bool cleans_up(BrokerStage stage) {
        return stage == BROKER_CLEANUP || stage == BROKER_KEEP;
}

int broker_job_call(BrokerJob *job, const BrokerCalls *calls, BrokerStage stage, char *const *arguments, const int *fds,
                    uint64_t file_bytes_max) {
        _cleanup_strv_ char **argv = NULL, **environment = NULL;

        if (!job->directory || job->pidfd >= 0)
                return -EBUSY;
        int r = make_environment(job, calls, fds ? fds[3] : -EBADF, &environment);
        if (r < 0)
                return r;
        r = make_arguments(job, calls, stage, arguments, &argv);
        if (r < 0)
                return r;
        r = stage == BROKER_RUN ? take_script(job, fds[4]) : 0;
        if (r < 0)
                return r;
        const Spawn spawn = {
                .argv = argv,
                .envp = environment,
                .stdin_fd = fds ? fds[0] : -EBADF,
                .stdout_fd = fds ? fds[1] : -EBADF,
                .stderr_fd = fds ? fds[2] : STDERR_FILENO,
                .die_with_parent = !cleans_up(stage),
                /* A person's shell needs the terminal, which only the foreground group can read. */
                .own_group = stage != BROKER_STEP || !streq(arguments[0], BROKER_SHELL),
                .file_bytes_max = file_bytes_max,
        };
        (void) unlinkat(job->directory_fd, EXIT_CODE, 0);
        r = process_spawn(&spawn, &job->pid, &job->pidfd);
        if (r < 0)
                return r;
        job->stage = stage;
        job->started = job->started || stage == BROKER_PREPARE;
        return 0;
}

void broker_job_signal(const BrokerJob *job, int signal) {
        if (job->pidfd >= 0 && !cleans_up(job->stage))
                (void) kill(-job->pid, signal);
}

void broker_job_reap(BrokerJob *job, BrokerReply *ret) {
        uint64_t code;
        int status;

        *ret = (BrokerReply){ .event = BROKER_DONE, .status = BROKER_SYSTEM_FAILURE, .exit_code = -1 };
        if (process_wait(job->pid, &status) >= 0)
                ret->status = process_exit_status(status);
        closep(&job->pidfd);
        if (cleans_up(job->stage) && ret->status == 0)
                job->started = false;
        /* Whatever becomes of us, the next broker must not remove what is kept. */
        if (job->stage == BROKER_KEEP && ret->status == 0)
                (void) unlinkat(job->directory_fd, RESPONSE, 0);
        if (file_read_number_at(job->directory_fd, EXIT_CODE, &code) >= 0 && code < 256)
                ret->exit_code = (int32_t) code;
}

static void remove_directory(int fd, const char *path) {
        static const char *const names[] = { RESPONSE, EXIT_CODE, SCRIPT };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void) unlinkat(fd, names[i], 0);
        (void) rmdir(path);
}

void broker_job_done(BrokerJob *job) {
        if (job->directory)
                remove_directory(job->directory_fd, job->directory);
        closep(&job->directory_fd);
        closep(&job->pidfd);
        free(job->directory);
        *job = BROKER_JOB_NONE;
}

/* Calls `cleanup` for the job, whose container has ended with its broker, unless it was kept before. */
static void collect(int parent_fd, const char *parent, const char *name, const BrokerCalls *calls) {
        const BrokerCalls calls_for_others = { .command = calls->command };
        BrokerJob job = BROKER_JOB_NONE;
        BrokerReply reply;

        job.directory_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (job.directory_fd >= 0 && lock_try(job.directory_fd, LOCK_EX) == 0 &&
            string_printf(&job.directory, "%s/%s", parent, name) >= 0 &&
            faccessat(job.directory_fd, RESPONSE, F_OK, AT_SYMLINK_NOFOLLOW) >= 0 &&
            broker_job_call(&job, &calls_for_others, BROKER_KEEP, NULL, NULL, 0) >= 0)
                broker_job_reap(&job, &reply);
        broker_job_done(&job);
}

void broker_jobs_collect(const char *runtime_dir, const BrokerCalls *calls) {
        _cleanup_free_ char *parent = NULL;
        _cleanup_strv_ char **names = NULL;

        if (string_printf(&parent, "%s/" DIRECTORY, runtime_dir) < 0)
                return;
        _cleanup_close_ int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0 || directory_names(parent_fd, &names) < 0)
                return;
        for (char **name = names; name && *name; name++)
                collect(parent_fd, parent, *name, calls);
}
