/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Plays GitLab Runner for one job: which stage comes after which, what is tried again, and how a job that fails or is
 * cancelled ends. Called in a process of the job's own, which has no rights. It must not rely on coming to its end:
 * the broker cleans up whatever becomes of it. */

#include "local/worker.h"

#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "local/artifacts.h"
#include "local/caches.h"
#include "local/go-duration.h"
#include "local/job-steps.h"
#include "local/sources.h"

#define PREPARE_ATTEMPTS 3U
#define PREPARE_DELAY_USEC (3 * USEC_PER_SEC)
#define SCRIPT_TIMEOUT "RUNNER_SCRIPT_TIMEOUT"
#define AFTER_SCRIPT_TIMEOUT "RUNNER_AFTER_SCRIPT_TIMEOUT"
#define IGNORE_ERRORS "AFTER_SCRIPT_IGNORE_ERRORS"
#define AFTER_SCRIPT_TIMEOUT_USEC (300 * USEC_PER_SEC)
#define CONFIG_BYTES_MAX ((size_t) 64 * 1024)

typedef struct Worker {
        const WorkerSetup *setup;
        Caller caller;
        LocalJob job;
        Keeper keeper;
        JobFailure failure;
        int exit_code;
        char reason[512];
} Worker;

static void begin_section(Worker *worker, const char *title) {
        (void) event_send_text(worker->caller.events_fd, EVENT_SECTION, title, strlen(title));
}

/* The first failure counts. */
static void fail(Worker *worker, JobFailure failure, int exit_code, const char *reason) {
        if (worker->failure != FAILURE_NONE)
                return;
        worker->failure = failure;
        worker->exit_code = exit_code;
        snprintf(worker->reason, sizeof(worker->reason), "%s", reason);
}

/* Notes what the result of a stage means for the job. True if the job goes on. */
static bool judge(Worker *worker, int r, const BrokerReply *reply, const char *what) {
        char reason[200];

        if (r == 0 && reply->status == 0 && worker->caller.cancelled == 0 && !worker->caller.timed_out &&
            !worker->caller.late)
                return true;
        if (worker->caller.cancelled > 0)
                fail(worker, FAILURE_CANCELED, -1, "cancelled");
        else if (worker->caller.timed_out) {
                snprintf(reason, sizeof(reason), "took longer than %llu seconds",
                         (unsigned long long) worker->job.timeout_sec);
                fail(worker, FAILURE_TIMEOUT, -1, reason);
        } else if (worker->caller.late) {
                snprintf(reason, sizeof(reason), "took longer than " SCRIPT_TIMEOUT " allows (%.100s)",
                         local_variable(&worker->job, SCRIPT_TIMEOUT, ""));
                fail(worker, FAILURE_TIMEOUT, -1, reason);
        } else if (r < 0) {
                snprintf(reason, sizeof(reason), "%s: %s", what, strerror(-r));
                fail(worker, FAILURE_SYSTEM, -1, reason);
        } else if (worker->caller.error[0]) {
                bool is_jobs_fault = reply->status == BROKER_BUILD_FAILURE;

                fail(worker, is_jobs_fault ? FAILURE_SCRIPT : FAILURE_SYSTEM, is_jobs_fault ? 1 : -1,
                     worker->caller.error);
        } else if (reply->status == BROKER_BUILD_FAILURE) {
                int code = reply->exit_code >= 0 ? reply->exit_code : 1;

                snprintf(reason, sizeof(reason), "%s%sexit status %d", what, *what ? ": " : "", code);
                fail(worker, FAILURE_SCRIPT, code, reason);
        } else {
                snprintf(reason, sizeof(reason), "%s%sthe driver failed", what, *what ? ": " : "");
                fail(worker, FAILURE_SYSTEM, -1, reason);
        }
        return false;
}

static bool call_plain(Worker *worker, BrokerStage stage, const char *what) {
        const Call call = { .stage = stage, .stdin_fd = -EBADF, .stdout_fd = -EBADF };
        BrokerReply reply = { 0 };

        int r = caller_call(&worker->caller, &call, &reply);
        return judge(worker, r, &reply, what);
}

/* What @variable of the job says, or @otherwise_usec. */
static uint64_t variable_usec(Worker *worker, const char *variable, uint64_t otherwise_usec) {
        const char *text = local_variable(&worker->job, variable, "");
        uint64_t usec = otherwise_usec;

        if (!isempty(text) && go_duration_parse(text, &usec) < 0)
                caller_log(&worker->caller, "\033[0;33mWARNING: %s is ignored: '%s' is no time such as '1h20m'\033[0;m",
                           variable, text);
        return usec;
}

/* When the script must have ended; 0: when the job's own time is over, which counts for it anyway. */
static uint64_t script_deadline(Worker *worker, LocalScript script) {
        uint64_t usec = 0;

        if (script == LOCAL_STEP_SCRIPT)
                usec = variable_usec(worker, SCRIPT_TIMEOUT, 0);
        else if (script == LOCAL_AFTER_SCRIPT)
                usec = variable_usec(worker, AFTER_SCRIPT_TIMEOUT, AFTER_SCRIPT_TIMEOUT_USEC);
        if (script == LOCAL_AFTER_SCRIPT) /* it goes on when the job is cancelled */
                return MIN(usec == 0 ? USEC_INFINITY : clock_deadline(usec), worker->caller.deadline_usec);
        return usec == 0 ? 0 : clock_deadline(usec);
}

static bool run_script(Worker *worker, LocalScript script, bool to_the_end, const char *what) {
        const char *text = local_script(&worker->job, script);
        if (!text)
                return true;
        const Call call = {
                .stage = BROKER_RUN,
                .arguments = ARGV(local_script_name(script)),
                .script = text,
                .stdin_fd = -EBADF,
                .stdout_fd = -EBADF,
                .to_the_end = to_the_end,
                .deadline_usec = script_deadline(worker, script),
        };
        BrokerReply reply = { 0 };

        int r = caller_call(&worker->caller, &call, &reply);
        if (to_the_end)
                return r == 0 && reply.status == 0;
        return judge(worker, r, &reply, what);
}

/* Hands the job to the broker. */
static int open_job(Worker *worker) {
        const char *response = local_response(&worker->job);
        BrokerReply reply;

        _cleanup_close_ int fd = memfd_new_sealed("response", response, strlen(response));
        if (fd < 0)
                return fd;
        int r = broker_send(worker->caller.broker_fd, BROKER_OPEN, BROKER_CONFIG, NULL, &fd, 1);
        if (r < 0)
                return r;
        for (;;) {
                r = broker_receive(worker->caller.broker_fd, &reply);
                if (r <= 0)
                        return r < 0 ? r : -ECONNRESET;
                if (reply.event == BROKER_DONE)
                        return reply.status;
                worker->caller.cancelled = MAX(worker->caller.cancelled, (unsigned) reply.status);
        }
}

static const char *string_of(const json_t *object, const char *key) {
        return json_string_value(json_object_get(object, key));
}

/* The driver says where the job's directories are. */
static bool configure(Worker *worker, json_t **ret) {
        _cleanup_free_ char *text = NULL;
        BrokerReply reply = { 0 };
        size_t size = 0;

        _cleanup_close_ int fd = memfd_create("config", MFD_CLOEXEC);
        const Call call = { .stage = BROKER_CONFIG, .stdin_fd = -EBADF, .stdout_fd = fd };
        int r = fd < 0 ? -errno : caller_call(&worker->caller, &call, &reply);
        if (!judge(worker, r, &reply, "the driver's configuration"))
                return false;
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, CONFIG_BYTES_MAX, &text, &size);
        *ret = r < 0 ? NULL : json_loadb(text, size, 0, NULL);
        if (!*ret)
                fail(worker, FAILURE_SYSTEM, -1, "the driver's configuration is no JSON");
        return *ret;
}

static void clean_up(Worker *worker) {
        const Call call = { .stage = BROKER_CLEANUP, .stdin_fd = -EBADF, .stdout_fd = -EBADF, .to_the_end = true };
        BrokerReply reply;

        (void) caller_call(&worker->caller, &call, &reply);
}

/* Hands the container of a failed job to the driver, which says whether it stays. */
static void keep_container(Worker *worker) {
        _cleanup_free_ char *id = NULL;
        BrokerReply reply;

        _cleanup_close_ int fd = memfd_create("id", MFD_CLOEXEC);
        const Call call = { .stage = BROKER_KEEP, .stdin_fd = -EBADF, .stdout_fd = fd, .to_the_end = true };
        if (fd < 0 || caller_call(&worker->caller, &call, &reply) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
            fd_read_all(fd, CONFIG_BYTES_MAX, &id, NULL) < 0)
                return;
        id[strcspn(id, "\n")] = 0;
        if (id[0])
                (void) event_send_text(worker->caller.events_fd, EVENT_KEPT, id, strlen(id));
}

/* Tries up to three times, unless the job is at fault. */
static bool prepare(Worker *worker) {
        begin_section(worker, "Preparing environment");
        for (unsigned attempt = 1;; attempt++) {
                if (call_plain(worker, BROKER_PREPARE, "the container could not be started"))
                        return true;
                if (worker->failure != FAILURE_SYSTEM || attempt == PREPARE_ATTEMPTS)
                        return false;
                caller_log(&worker->caller, "Will be retried in 3s ...");
                clean_up(worker);
                struct pollfd cancel = { .fd = worker->caller.broker_fd, .events = POLLIN };
                (void) poll(&cancel, 1, (int) (PREPARE_DELAY_USEC / USEC_PER_MSEC));
                worker->failure = FAILURE_NONE;
        }
}

static bool has_sources(const Worker *worker) {
        return worker->setup->sources && sources_are_wanted(local_variable(&worker->job, "GIT_STRATEGY", NULL));
}

/* The process that starts jobs says what failed: it ends the pipeline. */
static bool wait_for_sources(Worker *worker, char ***ret_empty) {
        const BrokerReply reply = { 0 };

        int r = caller_wait(&worker->caller, worker->setup->sources->done_fd);
        if (r == 0)
                r = sources_maker_result(worker->setup->sources, ret_empty, NULL);
        return judge(worker, r, &reply, "the sources could not be made");
}

static void warn_of_empty_submodules(Worker *worker, char *const *paths) {
        for (; paths && *paths; paths++)
                caller_log(
                        &worker->caller,
                        "\033[0;33mWARNING: the files of submodule '%s' are missing, so its directory is empty: %s\033[0;m",
                        *paths,
                        worker->setup->committed ? "they come only without --committed" :
                                                   "'git submodule update --init --recursive' fetches them");
}

static bool get_sources(Worker *worker) {
        const char *commit = local_variable(&worker->job, "CI_COMMIT_SHORT_SHA", "");
        _cleanup_strv_ char **empty = NULL;
        BrokerReply reply = { 0 };

        begin_section(worker, "Getting source from Git repository");
        if (!run_script(worker, LOCAL_GET_SOURCES, false, "get_sources"))
                return false;
        if (!has_sources(worker))
                return true;
        if (worker->setup->has_commit)
                caller_log(&worker->caller,
                           "\033[32;1mPutting the files in place, with %s as detached HEAD (ref is %s)...\033[0;m",
                           commit, worker->job.pipeline->context.request->ref);
        else
                caller_log(&worker->caller, "\033[32;1mPutting the files in place...\033[0;m");
        if (!wait_for_sources(worker, &empty))
                return false;
        warn_of_empty_submodules(worker, empty);
        _cleanup_close_ int fd = fd_reopen(worker->setup->sources->bundle_fd, O_RDONLY);
        const Call call = {
                .stage = BROKER_STEP,
                .arguments = ARGV("unpack", worker->job.project_dir),
                .stdin_fd = fd,
                .stdout_fd = -EBADF,
        };
        int r = fd < 0 ? fd : caller_call(&worker->caller, &call, &reply);
        return judge(worker, r, &reply, "get_sources");
}

static const char *status_of(const Worker *worker) {
        switch (worker->failure) {
        case FAILURE_NONE:
                return "success";
        case FAILURE_CANCELED:
                return "canceled";
        case FAILURE_TIMEOUT:
                return "timedout";
        default:
                return "failed";
        }
}

static void run_shell(Worker *worker) {
        const Call call = {
                .stage = BROKER_STEP,
                .arguments = ARGV(BROKER_SHELL, worker->job.project_dir),
                .stdin_fd = STDIN_FILENO,
                .stdout_fd = STDOUT_FILENO,
                .to_the_end = true,
        };
        BrokerReply reply = { 0 };

        (void) caller_call(&worker->caller, &call, &reply);
}

/* The script has said it in the log; the summary shall, too. */
static void explain_steps(Worker *worker) {
        const char *need = local_steps_need(&worker->job);

        if (need)
                snprintf(worker->reason, sizeof(worker->reason), "%s", need);
}

/* Whether nothing more is run, as GitLab Runner ends a job. Only its script may have taken longer than it may, by
 * RUNNER_SCRIPT_TIMEOUT. */
static bool is_over(const Worker *worker) {
        return worker->caller.cancelled >= 2 || worker->caller.timed_out || worker->failure == FAILURE_SYSTEM;
}

static void run_after_script(Worker *worker) {
        const char *ignored = local_variable(&worker->job, IGNORE_ERRORS, "true");

        bool done = run_script(worker, LOCAL_AFTER_SCRIPT, true, "after_script");
        worker->caller.timed_out = clock_now_usec() >= worker->caller.deadline_usec;
        if (worker->caller.timed_out)
                (void) judge(worker, 0, &(BrokerReply){ 0 }, "");
        else if (done)
                return;
        else if (streq(ignored, "false") || streq(ignored, "0"))
                fail(worker, FAILURE_SCRIPT, -1, "after_script failed");
        else
                caller_log(&worker->caller, "after_script failed, but job will continue unaffected%s",
                           worker->caller.late ? ": its time was up" : "");
}

/* The job's own scripts. */
static void run_scripts(Worker *worker) {
        begin_section(worker, "Executing \"step_script\" stage of the job script");
        (void) run_script(worker, LOCAL_STEP_SCRIPT, false, "");
        if (worker->failure == FAILURE_SCRIPT && worker->exit_code == LOCAL_STEPS_EXIT_STATUS)
                explain_steps(worker);
        if (is_over(worker))
                return;
        local_job_set_status(&worker->job, status_of(worker));
        if (!local_script(&worker->job, LOCAL_AFTER_SCRIPT))
                return;
        begin_section(worker, "Running after_script");
        run_after_script(worker);
}

/* False, with why the job failed: it has been ended while files were moved. */
static bool may_go_on(Worker *worker) {
        worker->caller.late = false;
        int r = caller_check(&worker->caller);
        return r == 0 || judge(worker, r, &(BrokerReply){ 0 }, "files cannot be moved");
}

static bool download(Worker *worker) {
        const WorkerSetup *setup = worker->setup;

        if (caches_any(&worker->job)) {
                begin_section(worker, "Restoring cache");
                caches_restore(&worker->keeper);
        }
        for (size_t i = 0, n = 0; i < setup->n_sources_of; i++) {
                const WorkerSource *from = setup->sources_of + i;
                Keeper keeper = worker->keeper;

                if (!artifacts_are_there(from->store, from->job))
                        continue;
                if (n++ == 0)
                        begin_section(worker, "Downloading artifacts");
                keeper.store = from->store;
                int r = artifacts_download(&keeper, from->job);
                if (!may_go_on(worker))
                        return false;
                if (r < 0) {
                        fail(worker, FAILURE_SYSTEM, -1, "artifacts of an earlier job cannot be put in place");
                        return false;
                }
        }
        return may_go_on(worker);
}

/* Keeps caches and artifacts that are wanted after this result. */
static void keep_files(Worker *worker) {
        bool success = worker->failure == FAILURE_NONE;

        worker->caller.ignored = worker->caller.cancelled;
        if (caches_any(&worker->job)) {
                begin_section(worker, success ? "Saving cache for successful job" : "Saving cache for failed job");
                caches_save(&worker->keeper, success);
        }
        if (!may_go_on(worker) || !map_get_set(worker->job.job->config, "artifacts"))
                return;
        begin_section(worker,
                      success ? "Uploading artifacts for successful job" : "Uploading artifacts for failed job");
        int r = artifacts_upload(&worker->keeper, success);
        if (r < 0 && may_go_on(worker))
                fail(worker, FAILURE_SYSTEM, -1,
                     r == -EFBIG ? "the artifacts are too large" : "the artifacts cannot be kept");
}

static void run_stages(Worker *worker) {
        if (!run_script(worker, LOCAL_PREPARE_SCRIPT, false, "prepare environment") || !get_sources(worker) ||
            !download(worker))
                return;
        if (worker->setup->shell) {
                run_shell(worker);
                return;
        }
        run_scripts(worker);
        if (!is_over(worker))
                keep_files(worker);
        if (worker->caller.cancelled < 2 && !worker->caller.timed_out)
                (void) run_script(worker, LOCAL_CLEANUP_FILE_VARIABLES, true, "");
}

static void play(Worker *worker) {
        json_t *config = NULL;
        LocalJobRequest request = worker->setup->job;
        Variables dotenv = { .arena = &request.pipeline->arena };

        for (size_t i = 0; i < worker->setup->n_sources_of; i++)
                artifacts_read_dotenv(worker->setup->sources_of[i].store, worker->setup->sources_of[i].job, &dotenv);
        request.dotenv = &dotenv;
        int r = worker->setup->shell ? 0 : artifacts_forget(worker->setup->store, request.job->name);
        if (r < 0) {
                fail(worker, FAILURE_SYSTEM, -1, "nothing can be written where artifacts are kept");
                return;
        }
        local_job_init(&worker->job, &request);
        if (worker->job.problem) {
                fail(worker, FAILURE_SYSTEM, -1, worker->job.problem);
                return;
        }
        r = open_job(worker);
        if (r < 0) {
                fail(worker, FAILURE_SYSTEM, -1, strerror(-r));
                return;
        }
        worker->caller.job = &worker->job;
        worker->caller.deadline_usec = clock_deadline(worker->job.timeout_sec * USEC_PER_SEC);
        for (size_t i = 0; local_limit(&worker->job, i); i++)
                caller_log(&worker->caller, "\033[0;33mWARNING: %s\033[0;m", local_limit(&worker->job, i));
        if (!configure(worker, &config))
                return;
        request.builds_dir = string_of(config, "builds_dir");
        request.cache_dir = string_of(config, "cache_dir");
        request.hostname = string_of(config, "hostname");
        request.configured = true;
        local_job_init(&worker->job, &request);
        if (worker->job.problem)
                fail(worker, FAILURE_SYSTEM, -1, worker->job.problem);
        else if (prepare(worker))
                run_stages(worker);
        if (worker->setup->keep_failed && worker->failure != FAILURE_NONE && worker->failure != FAILURE_CANCELED)
                keep_container(worker);
        else
                clean_up(worker);
        json_decref(config);
}

void worker_run(const WorkerSetup *setup) {
        static Event ended;
        static Worker worker;

        worker = (Worker){ .setup = setup,
                           .exit_code = 0,
                           .caller = { .events_fd = setup->events_fd,
                                       .cancel_fd = setup->cancel_fd,
                                       .files_bytes_max = setup->files_bytes_max,
                                       .files_max = FILES_MAX } };
        worker.keeper = (Keeper){ .caller = &worker.caller,
                                  .store = setup->store,
                                  .top = setup->top,
                                  .has_commit = setup->has_commit,
                                  .directory = setup->artifacts };
        (void) setlocale(LC_CTYPE, "C.UTF-8"); /* of names in archives */
        worker.caller.broker_fd = broker_connect(setup->broker_fd);
        if (setjmp(setup->job.pipeline->arena.exhausted) != 0)
                fail(&worker, FAILURE_SYSTEM, -1, "out of memory");
        else if (worker.caller.broker_fd < 0)
                fail(&worker, FAILURE_SYSTEM, -1, strerror(-worker.caller.broker_fd));
        else
                play(&worker);
        ended = (Event){ .type = EVENT_ENDED, .failed = worker.failure, .exit_code = worker.exit_code };
        ended.size = (uint32_t) strlen(worker.reason);
        memcpy(ended.text, worker.reason, ended.size);
        (void) event_send(setup->events_fd, &ended);
}
