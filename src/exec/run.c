/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The loop that drives a pipeline: starts a process for each job whose turn has come, shows what they say, and asks
 * the schedule what comes next. Called by exec.c in the process without rights; containers are the broker's. The loop
 * must not wait for any single job: all of them talk at the same time. */

#include "exec/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "exec/child.h"
#include "exec/earlier.h"
#include "exec/output.h"
#include "exec/slots.h"
#include "local/broker-client.h"
#include "local/sources-maker.h"
#include "local/sources.h"
#include "local/worker.h"

#define JOBS_MAX 64U
#define DEPTH_DEFAULT 20U
#define SOURCES_MAX 8U

typedef struct Running {
        pid_t pid;
        int events_fd, cancel_fd;
        size_t job;
        ExecJobResult result;
        char reason[512];
        bool told; /* how it ended */
} Running;

/* One bundle of sources for all jobs that want the same of git. */
typedef struct SourcesKept {
        uint64_t depth;
        bool submodules, recursive;
        SourcesMaker maker;
        bool made;
} SourcesKept;

typedef struct Loop {
        const ExecRun *run;
        Pipeline *pipeline;
        RunState state;
        ExecOutput output;
        LocalStore store;
        Running running[JOBS_MAX];
        size_t n_running;
        int slots_fd;
        bool waits_for_slot; /* a job's turn has come, but too many others run */
        SourcesKept sources[SOURCES_MAX];
        size_t n_sources;
        uint64_t pipeline_number;
        char started_at[32];
} Loop;

/* When they are made, or cannot be; waits for that. 0 or -errno, logged. */
static int end_sources(SourcesKept *kept) {
        _cleanup_strv_ char **empty = NULL;
        Problem problem = { 0 };
        int status;

        if (kept->made)
                return 0;
        kept->made = true;
        (void) process_wait(kept->maker.pid, &status);
        kept->maker.pid = 0;
        int r = sources_maker_result(&kept->maker, &empty, &problem);
        return r < 0 ? log_problem(r, &problem) : 0;
}

/* Waits for the oldest ones, if there are too many. 0 or -errno, logged. */
static int make_room(Loop *loop) {
        if (loop->n_sources < SOURCES_MAX)
                return 0;
        int r = end_sources(loop->sources);
        if (r < 0)
                return r;
        sources_maker_done(&loop->sources[0].maker);
        memmove(loop->sources, loop->sources + 1, --loop->n_sources * sizeof(SourcesKept));
        return 0;
}

/* The sources that @job wants: *ret, valid until the next call, or NULL for none. They may still be in the making. 0 or -errno,
 * logged. */
static int take_sources(Loop *loop, const PipelineJob *job, const SourcesMaker **ret) {
        const char *depth = variables_get(&job->variables, "GIT_DEPTH");
        const char *submodules = variables_get(&job->variables, "GIT_SUBMODULE_STRATEGY");
        Problem problem = { 0 };
        SourcesKept kept = { .depth = DEPTH_DEFAULT };

        *ret = NULL;
        if (!sources_are_wanted(variables_get(&job->variables, "GIT_STRATEGY")))
                return 0;
        if (depth && parse_uint64(depth, &kept.depth) < 0)
                kept.depth = DEPTH_DEFAULT;
        kept.recursive = submodules && streq(submodules, "recursive");
        kept.submodules = kept.recursive || (submodules && streq(submodules, "normal"));
        for (size_t i = 0; i < loop->n_sources; i++)
                if (loop->sources[i].depth == kept.depth && loop->sources[i].submodules == kept.submodules &&
                    loop->sources[i].recursive == kept.recursive) {
                        *ret = &loop->sources[i].maker;
                        return 0;
                }
        int r = make_room(loop);
        if (r < 0)
                return r;
        const PipelineRequest *about = &loop->run->request->request;
        const SourcesRequest request = {
                .checkout = loop->run->request->checkout,
                .provider = &loop->run->request->provider,
                .cache = loop->store.sources,
                .ref = about->ref,
                .url = arena_printf(&loop->pipeline->arena, "%s.git",
                                    variables_get(about->predefined, "CI_PROJECT_URL")),
                .depth = kept.depth,
                .base = variables_get(about->predefined, "CI_MERGE_REQUEST_DIFF_BASE_SHA"),
                .is_tag = about->is_tag,
                .committed = invocation_has(loop->run->invocation, "committed"),
                .submodules = kept.submodules,
                .recursive = kept.recursive,
        };
        r = sources_maker_start(&request, &kept.maker, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        loop->sources[loop->n_sources] = kept;
        *ret = &loop->sources[loop->n_sources++].maker;
        return 0;
}

static const char *make_token(Arena *arena) {
        unsigned char bytes[20];
        Text text = { .arena = arena };

        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
                return "";
        for (size_t i = 0; i < sizeof(bytes); i++)
                text_printf(&text, "%02x", bytes[i]);
        return text_get(&text);
}

static ExecLevel level_of(const Loop *loop) {
        return (ExecLevel){
                .state = loop->state, .store = loop->store, .number = loop->pipeline_number, .above = loop->run->above
        };
}

/* In the process of the job. */
static void work(const Loop *loop, size_t i, int events_fd, int cancel_fd, const SourcesMaker *sources) {
        const Invocation *invocation = loop->run->invocation;
        const ExecLevel level = level_of(loop);
        size_t n;
        const WorkerSource *sources_of = exec_earlier_jobs(&level, i, events_fd, &n);
        const WorkerSetup setup = {
                .job = {
                        .pipeline = loop->pipeline,
                        .job = loop->pipeline->jobs + i,
                        .number = store_take_numbers(&loop->store, 1),
                        .pipeline_number = loop->pipeline_number,
                        .token = make_token(&loop->pipeline->arena),
                        .default_image = invocation_option(invocation, "image-default"),
                        .started_at = loop->started_at,
                },
                .store = &loop->store,
                .sources_of = sources_of,
                .n_sources_of = n,
                .top = loop->run->request->checkout->top,
                .artifacts = invocation_option(invocation, "artifacts"),
                .files_bytes_max = loop->run->request->files_bytes_max,
                .broker_fd = loop->run->broker_fd,
                .events_fd = events_fd,
                .cancel_fd = cancel_fd,
                .sources = sources,
                .committed = invocation_has(invocation, "committed"),
                .has_commit = loop->run->request->checkout->commit,
                .shell = invocation_has(invocation, "shell"),
                .keep_failed = invocation_has(invocation, "keep-failed"),
        };

        worker_run(&setup);
}

/* In the process of a job with 'trigger'. */
static void work_as_parent(const Loop *loop, size_t i, int events_fd, int cancel_fd) {
        const ExecLevel level = level_of(loop);
        ExecRun run = *loop->run;

        run.slots_fd = loop->slots_fd;
        run.cancel_fd = cancel_fd;
        exec_child_run(&run, &level, i, events_fd, exec_run);
}

static int start_job(Loop *loop, size_t i) {
        Running *running = loop->running + loop->n_running;
        const SourcesMaker *sources = NULL;
        int pipe_fds[2];

        int r = loop->pipeline->jobs[i].is_trigger ? 0 : take_sources(loop, loop->pipeline->jobs + i, &sources);
        if (r < 0)
                return r;
        _cleanup_close_ int cancel_fd = eventfd(0, EFD_CLOEXEC);
        if (cancel_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
                return log_error_errno(errno, "Cannot start a job: %m");
        run_state_start(&loop->state, i);
        exec_output_job_started(&loop->output, i, loop->state.jobs[i].n_tries);
        (void) fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(pipe_fds[0]);
                if (loop->pipeline->jobs[i].is_trigger)
                        work_as_parent(loop, i, pipe_fds[1], cancel_fd);
                else
                        work(loop, i, pipe_fds[1], cancel_fd, sources);
                _exit(EXIT_SUCCESS);
        }
        close(pipe_fds[1]);
        if (pid < 0) {
                close(pipe_fds[0]);
                return log_error_errno(errno, "Cannot start a process: %m");
        }
        *running = (Running){ .pid = pid, .events_fd = pipe_fds[0], .cancel_fd = TAKE_FD(cancel_fd), .job = i };
        loop->n_running++;
        return 0;
}

static int start_all(Loop *loop) {
        for (;;) {
                size_t job = run_state_next(&loop->state);

                loop->waits_for_slot = job != SIZE_MAX &&
                                       (loop->n_running == JOBS_MAX || !slots_take(loop->slots_fd, loop->n_running));
                if (job == SIZE_MAX || loop->waits_for_slot)
                        return 0;
                int r = start_job(loop, job);
                if (r < 0) {
                        slots_give_back(loop->slots_fd, loop->n_running + 1, loop->n_running);
                        return r;
                }
        }
}

/* True when the job's process is done. */
static bool take_event(Loop *loop, Running *running) {
        static Event event;

        int r = event_receive(running->events_fd, &event);
        if (r <= 0)
                return true;
        if (event.type == EVENT_SECTION)
                exec_output_section(&loop->output, running->job, event.text);
        else if (event.type == EVENT_LINE)
                exec_output_line(&loop->output, running->job, event.text);
        else if (event.type == EVENT_TESTS)
                exec_output_tests(&loop->output, running->job, event.text);
        else if (event.type == EVENT_KEPT)
                exec_output_kept(&loop->output, running->job, event.text);
        else if (event.type == EVENT_ENDED) {
                running->told = true;
                running->result.failure = (JobFailure) event.failed;
                running->result.exit_code = event.exit_code;
                snprintf(running->reason, sizeof(running->reason), "%.511s", event.text);
        }
        return false;
}

/* As GitLab calls it. */
static const char *failure_name(JobFailure failure) {
        static const char *const names[] = { NULL, "script_failure", "runner_system_failure", "job_execution_timeout",
                                             "job_canceled" };

        return names[failure];
}

/* Their processes ask the broker to end what runs, and then end by themselves; those of child pipelines do this to their
 * jobs. */
static void cancel_others(const Loop *loop, const Running *but) {
        for (size_t i = 0; i < loop->n_running; i++)
                if (loop->running + i != but)
                        (void) eventfd_write(loop->running[i].cancel_fd, 1);
}

static void end_job(Loop *loop, Running *running) {
        ExecJobResult *result = &running->result;
        int status;

        closep(&running->events_fd);
        closep(&running->cancel_fd);
        (void) process_wait(running->pid, &status);
        if (!running->told) {
                result->failure = FAILURE_SYSTEM;
                result->exit_code = -1;
                snprintf(running->reason, sizeof(running->reason), "its process was killed");
        }
        result->reason = running->reason;
        const RunEnd end = {
                .success = result->failure == FAILURE_NONE,
                .failure = failure_name(result->failure),
                .exit_code = result->exit_code,
        };
        RunNext next = run_state_finish(&loop->state, running->job, &end);
        result->again = next == RUN_TRY_AGAIN;
        if (next == RUN_CANCELS)
                cancel_others(loop, running);
        exec_output_job_ended(&loop->output, running->job, result);
}

static void serve(Loop *loop, const struct pollfd *polled) {
        size_t kept = 0;

        for (size_t i = 0; i < loop->n_running; i++) {
                if (polled[i].revents && take_event(loop, loop->running + i))
                        end_job(loop, loop->running + i);
                else
                        loop->running[kept++] = loop->running[i];
        }
        slots_give_back(loop->slots_fd, loop->n_running, kept);
        loop->n_running = kept;
}

/* Somebody wants the pipeline to end; for the first time with @times 1. */
static void cancel(Loop *loop, int times) {
        run_state_cancel(&loop->state);
        if (!loop->run->parent)
                exec_output_cancelled(&loop->output, times == 1);
}

/* The pipeline above wants this one to end. */
static void cancel_all(Loop *loop) {
        run_state_cancel(&loop->state);
        cancel_others(loop, NULL);
}

/* What is waited for: jobs, the broker, the pipeline above, a slot for one job more, and sources that are being made. */
#define POLL_BROKER JOBS_MAX
#define POLL_CANCEL (POLL_BROKER + 1)
#define POLL_SLOTS (POLL_CANCEL + 1)
#define POLL_SOURCES (POLL_SLOTS + 1)
#define POLL_MAX (POLL_SOURCES + SOURCES_MAX)

static struct pollfd polled_fd(bool wanted, int fd) {
        return (struct pollfd){ .fd = wanted ? fd : -1, .events = POLLIN };
}

static int wait_for_any(Loop *loop, struct pollfd ret[static POLL_MAX]) {
        for (size_t i = 0; i < JOBS_MAX; i++)
                ret[i] = polled_fd(i < loop->n_running, loop->running[i].events_fd);
        ret[POLL_BROKER] = polled_fd(true, loop->run->events_fd);
        ret[POLL_CANCEL] = polled_fd(loop->run->parent && !loop->state.interrupted, loop->run->cancel_fd);
        ret[POLL_SLOTS] = polled_fd(loop->waits_for_slot, loop->slots_fd);
        for (size_t i = 0; i < SOURCES_MAX; i++)
                ret[POLL_SOURCES + i] = polled_fd(i < loop->n_sources && !loop->sources[i].made,
                                                  loop->sources[i].maker.done_fd);
        return poll(ret, POLL_MAX, exec_output_timeout(&loop->output)) < 0 && errno != EINTR ?
                       log_error_errno(errno, "Cannot wait: %m") :
                       0;
}

static int serve_sources(Loop *loop, const struct pollfd *polled) {
        for (size_t i = 0; i < loop->n_sources; i++) {
                int r = polled[i].revents ? end_sources(loop->sources + i) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int drive(Loop *loop) {
        struct pollfd polled[POLL_MAX];
        BrokerReply reply;

        for (;;) {
                int r = start_all(loop);
                if (r < 0)
                        return r;
                if (loop->n_running == 0)
                        return 0;
                exec_output_tick(&loop->output);
                r = wait_for_any(loop, polled);
                if (r < 0)
                        return r;
                if (polled[POLL_BROKER].revents) {
                        if (broker_receive(loop->run->events_fd, &reply) <= 0)
                                return -ECONNRESET;
                        if (reply.event == BROKER_CANCEL)
                                cancel(loop, reply.status);
                }
                if (polled[POLL_CANCEL].revents)
                        cancel_all(loop);
                r = serve_sources(loop, polled + POLL_SOURCES);
                if (r < 0)
                        return r;
                serve(loop, polled);
        }
}

/* How people get into a container of this configuration. */
static const char *shell_command(Loop *loop) {
        const Invocation *invocation = loop->run->invocation;
        Text text = { .arena = &loop->pipeline->arena };

        text_add_string(&text, "sudo nspawn-runner");
        if (invocation->config_file)
                text_printf(&text, " --config=%s", invocation->config_file);
        if (invocation->root)
                text_printf(&text, " --root=%s", invocation->root);
        text_add_string(&text, " shell");
        return text_get(&text);
}

static int begin_output(Loop *loop) {
        const Invocation *invocation = loop->run->invocation;
        const PipelineRequest *request = &loop->run->request->request;
        const ExecOutputSetup setup = {
                .state = &loop->state,
                .report = loop->run->parent ? NULL : invocation_option(invocation, "report"),
                .project = request->project_path,
                .ref = request->ref,
                .commit = variables_get(request->predefined, "CI_COMMIT_SHORT_SHA"),
                .shell = shell_command(loop),
                .plain = invocation_has(invocation, "shell"),
        };

        return exec_output_begin(&loop->output, &setup);
}

/* An exit status or -errno. */
static int drive_with_output(Loop *loop) {
        int r = begin_output(loop);
        if (r < 0)
                return r;
        r = drive(loop);
        if (r < 0) {
                slots_give_back(loop->slots_fd, loop->n_running, 0); /* its processes end with this one */
                return r;
        }
        r = exec_output_pipeline_ended(&loop->output);
        return r < 0 ? r : run_state_exit_status(&loop->state);
}

/* 0; COMMAND_MISUSED; or -errno, logged. */
static int make_slots(const Invocation *invocation, int *ret_fd) {
        const char *jobs = invocation_option(invocation, "jobs");
        uint64_t n = 1;

        if (jobs && (parse_uint64(jobs, &n) < 0 || n == 0 || n > JOBS_MAX)) {
                log_error("--jobs needs a number from 1 to %u", JOBS_MAX);
                return COMMAND_MISUSED;
        }
        *ret_fd = slots_make((unsigned) n);
        return *ret_fd < 0 ? log_error_errno(*ret_fd, "Cannot start jobs: %m") : 0;
}

int exec_run(const ExecRun *run) {
        static Loop loop;
        _cleanup_close_ int own_slots_fd = -EBADF;
        const char *where = isempty(getenv("XDG_STATE_HOME")) ? "HOME" : "XDG_STATE_HOME";
        time_t now = time(NULL);
        struct tm tm;

        int r = run->parent ? 0 : make_slots(run->invocation, &own_slots_fd);
        if (r != 0)
                return r;
        loop = (Loop){ .run = run, .pipeline = run->pipeline, .slots_fd = run->parent ? run->slots_fd : own_slots_fd };
        if (gmtime_r(&now, &tm))
                (void) strftime(loop.started_at, sizeof(loop.started_at), "%Y-%m-%dT%H:%M:%SZ", &tm);
        r = store_open(run->request->checkout->top, &loop.store);
        if (r < 0)
                return log_error_errno(r, "Cannot make a directory for caches and artifacts below $%s, '%s': %m", where,
                                       getenv(where) ? getenv(where) : "");
        if (run->parent)
                r = store_enter(&loop.store, run->parent);
        if (r < 0)
                return log_error_errno(r, "Cannot make a directory for artifacts: %m");
        loop.pipeline_number = store_take_numbers(&loop.store, 1);
        run_state_init(&loop.state, run->pipeline, run->take);
        r = drive_with_output(&loop);
        exec_output_done(&loop.output);
        for (size_t i = 0; i < loop.n_sources; i++)
                sources_maker_done(&loop.sources[i].maker);
        store_done(&loop.store);
        return r;
}
