/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which job's turn it is: stages and needs, manual jobs, jobs that run after failures, retries. Called by the
 * command `exec`, to show the order of jobs and to run them. It must start nothing, and allocate nothing after
 * run_state_init(). The cost of a change grows only with the number of a job's dependants, so that pipelines of 10,000
 * jobs are fast. */

#include "pipeline/run-state.h"

#include "base/string.h"

typedef struct Stage {
        size_t first, end; /* its jobs */
        size_t n_waiting;  /* of those that start after the stages before */
        unsigned seen[SEEN_MAX];
} Stage;

typedef struct Link {
        size_t *dependants; /* jobs that need this one */
        size_t n_dependants;
        unsigned n_open, n_dropped; /* its needs that have not ended; that are skipped or passed over */
        bool due;                   /* is in RunOrder.due */
        size_t group, next_in_group;
} Link;

/* Jobs that must not run at the same time. */
typedef struct Group {
        size_t holder; /* the job that may start or runs; SIZE_MAX: none */
        size_t first, last;
} Group;

typedef struct RunOrder {
        Stage *stages;
        size_t front;              /* the first stage whose jobs have not had their turn yet */
        unsigned before[SEEN_MAX]; /* counts of the statuses in the stages before @front */
        Link *links;
        size_t *due, n_due; /* jobs that may move on because of what they need */
        uint64_t *ready;    /* a bit for each job that may start */
        size_t n_words, n_active;
        Group *groups;
        size_t first_failed;
} RunOrder;

static unsigned bits_of(const unsigned counts[static SEEN_MAX]) {
        unsigned seen = 0;

        for (unsigned i = 0; i < SEEN_MAX; i++)
                seen |= counts[i] > 0 ? STATUS_BIT(i) : 0;
        return seen;
}

static bool is_dropped(unsigned seen) {
        return seen == JOB_SKIPPED || seen == SEEN_IGNORED;
}

static bool is_open(unsigned seen) {
        return seen != SEEN_WARNING && !is_dropped(seen) && !job_status_ended((JobStatus) seen);
}

static void set_ready(RunOrder *order, size_t job, bool ready) {
        uint64_t bit = UINT64_C(1) << job % 64;

        order->ready[job / 64] = ready ? order->ready[job / 64] | bit : order->ready[job / 64] & ~bit;
}

/* A pending job waits for its turn in its resource group. */
static void group_enter(RunOrder *order, size_t job) {
        Link *link = order->links + job;
        Group *group = link->group == SIZE_MAX ? NULL : order->groups + link->group;

        if (!group || group->holder == SIZE_MAX) {
                if (group)
                        group->holder = job;
                set_ready(order, job, true);
                return;
        }
        link->next_in_group = SIZE_MAX;
        if (group->first == SIZE_MAX)
                group->first = job;
        else
                order->links[group->last].next_in_group = job;
        group->last = job;
}

/* A job that was pending or running leaves its resource group. */
static void group_leave(RunState *state, size_t job) {
        RunOrder *order = state->order;
        Group *group = order->links[job].group == SIZE_MAX ? NULL : order->groups + order->links[job].group;

        set_ready(order, job, false);
        if (!group || group->holder != job)
                return;
        group->holder = SIZE_MAX;
        while (group->first != SIZE_MAX && group->holder == SIZE_MAX) {
                size_t next = group->first;

                group->first = order->links[next].next_in_group;
                /* Jobs that are not pending were cancelled meanwhile. */
                if (state->jobs[next].status == JOB_PENDING)
                        group_enter(order, next);
        }
}

static void set_due(RunState *state, size_t job) {
        Link *link = state->order->links + job;

        if (state->jobs[job].status != JOB_CREATED || !state->pipeline->jobs[job].by_needs || link->due ||
            (link->n_open > 0 && link->n_dropped == 0))
                return;
        link->due = true;
        state->order->due[state->order->n_due++] = job;
}

static bool is_active(JobStatus status) {
        return status == JOB_PENDING || status == JOB_RUNNING || status == JOB_CANCELING;
}

/* Changes the status of a job, and updates everything that depends on it. */
static void change(RunState *state, size_t i, JobStatus status, bool allow_failure) {
        RunJob *job = state->jobs + i;
        RunOrder *order = state->order;
        const PipelineJob *of = state->pipeline->jobs + i;
        Stage *stage = order->stages + of->stage_index;
        unsigned was = status_seen(job->status, job->allow_failure), is = status_seen(status, allow_failure);
        JobStatus before = job->status;

        job->status = status;
        job->allow_failure = allow_failure;
        if (!of->by_needs)
                stage->n_waiting = stage->n_waiting + (status == JOB_CREATED) - (before == JOB_CREATED);
        order->n_active = order->n_active + is_active(status) - is_active(before);
        if (status == JOB_PENDING)
                group_enter(order, i);
        else if (is_active(before) && !is_active(status))
                group_leave(state, i);
        if (is == JOB_FAILED && i < order->first_failed)
                order->first_failed = i;
        stage->seen[was]--;
        stage->seen[is]++;
        if (of->stage_index < order->front) {
                order->before[was]--;
                order->before[is]++;
        }
        for (size_t k = 0; k < order->links[i].n_dependants; k++) {
                Link *link = order->links + order->links[i].dependants[k];

                link->n_open = link->n_open + is_open(is) - is_open(was);
                link->n_dropped = link->n_dropped + is_dropped(is) - is_dropped(was);
                set_due(state, order->links[i].dependants[k]);
        }
}

/* Returns the next status of a job, after others with the common status @before; @nothing: there are no others. */
static JobStatus next_status(const PipelineJob *job, RunTake take, JobStatus before, bool nothing) {
        bool passed = before == JOB_SUCCESS || (before == JOB_SKIPPED && !job->by_needs);

        if (take == RUN_DEMAND && nothing)
                return JOB_PENDING;
        switch (job->when) {
        case WHEN_ON_FAILURE:
                return before == JOB_FAILED ? JOB_PENDING : JOB_SKIPPED;
        case WHEN_ALWAYS:
                return before == JOB_CANCELED ? JOB_SKIPPED : JOB_PENDING;
        case WHEN_MANUAL:
                return !passed ? JOB_SKIPPED : take == RUN_TAKE ? JOB_MANUAL : JOB_PENDING;
        case WHEN_DELAYED:
                return !passed ? JOB_SKIPPED : take == RUN_TAKE ? JOB_SCHEDULED : JOB_PENDING;
        default:
                return passed ? JOB_PENDING : JOB_SKIPPED;
        }
}

static void move_on(RunState *state, size_t i, unsigned seen, size_t because) {
        const PipelineJob *job = state->pipeline->jobs + i;
        JobStatus status = next_status(job, state->jobs[i].take, status_composite(seen, job->by_needs), seen == 0);

        state->jobs[i].because = status == JOB_SKIPPED ? because : SIZE_MAX;
        change(state, i, status, state->jobs[i].allow_failure);
}

/* Moves on a job whose needs have all ended, or one of whose needs will not run. */
static void move_on_by_needs(RunState *state, size_t i) {
        /* Statuses to blame, the most important first. */
        static const unsigned blame[] = { JOB_FAILED, JOB_CANCELED, JOB_SKIPPED, SEEN_IGNORED };
        const PipelineJob *job = state->pipeline->jobs + i;
        size_t because = SIZE_MAX, best = ELEMENTSOF(blame);
        unsigned seen = 0;

        for (size_t k = 0; k < job->n_needs; k++) {
                size_t need = job->needs[k].job;
                if (need == SIZE_MAX || state->jobs[need].take == RUN_LEAVE)
                        continue;
                unsigned is = status_seen(state->jobs[need].status, state->jobs[need].allow_failure);
                seen |= STATUS_BIT(is);
                for (size_t b = 0; b < best; b++)
                        if (blame[b] == is) {
                                best = b;
                                because = need;
                        }
        }
        move_on(state, i, seen, because);
}

static size_t first_failed_before(const RunState *state, size_t stage) {
        size_t job = state->order->first_failed;

        return job != SIZE_MAX && state->pipeline->jobs[job].stage_index < stage ? job : SIZE_MAX;
}

/* If everything before the front has ended, gives its jobs their turn; likewise for the next stages. */
static void move_front(RunState *state) {
        RunOrder *order = state->order;

        for (; order->front < state->pipeline->n_stages; order->front++) {
                Stage *stage = order->stages + order->front;
                unsigned seen = bits_of(order->before);

                if (stage->n_waiting > 0 && !job_status_ended(status_composite(seen, false)))
                        return;
                for (size_t i = stage->first; stage->n_waiting > 0 && i < stage->end; i++)
                        if (state->jobs[i].status == JOB_CREATED && !state->pipeline->jobs[i].by_needs &&
                            state->jobs[i].take != RUN_LEAVE)
                                move_on(state, i, seen, first_failed_before(state, order->front));
                for (unsigned k = 0; k < SEEN_MAX; k++)
                        order->before[k] += stage->seen[k];
        }
}

/* Moves on every job whose turn has come. */
static void settle(RunState *state) {
        RunOrder *order = state->order;

        do {
                while (order->n_due > 0) {
                        size_t job = order->due[--order->n_due];

                        order->links[job].due = false;
                        if (state->jobs[job].status == JOB_CREATED)
                                move_on_by_needs(state, job);
                }
                move_front(state);
        } while (order->n_due > 0);
}

static void init_groups(RunState *state) {
        Pipeline *pipeline = state->pipeline;
        Arena *arena = &pipeline->arena;
        Value *names = value_new(arena, VALUE_MAP, (Place){ 0 });

        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                const Value *name = map_get_set(pipeline->jobs[i].config, "resource_group");
                Variables expanded;
                const char *loop;

                state->order->links[i].group = SIZE_MAX;
                if (state->jobs[i].take == RUN_LEAVE || !value_is(name, VALUE_STRING))
                        continue;
                (void) variables_expand_nested(&pipeline->jobs[i].variables, true, &expanded, &loop);
                const char *group = variables_expand(&expanded, name->string, true);
                if (!map_find(names, group)) {
                        Value *number = value_new(arena, VALUE_INTEGER, name->place);
                        number->integer = (int64_t) names->n_pairs;
                        map_set(arena, names, group, name->place, number);
                }
                state->order->links[i].group = (size_t) map_get(names, group)->integer;
        }
        state->order->groups = arena_alloc(arena, names->n_pairs * sizeof(Group));
        for (size_t i = 0; i < names->n_pairs; i++)
                state->order->groups[i] = (Group){ SIZE_MAX, SIZE_MAX, SIZE_MAX };
}

static bool is_needed(const RunState *state, const PipelineNeed *need) {
        return need->job != SIZE_MAX && state->jobs[need->job].take != RUN_LEAVE;
}

static void init_links(RunState *state) {
        Pipeline *pipeline = state->pipeline;
        Link *links = state->order->links;

        /* Counted first, so that each list is allocated once. */
        for (unsigned fill = 0; fill <= 1; fill++) {
                for (size_t i = 0; i < pipeline->n_jobs; i++) {
                        const PipelineJob *job = pipeline->jobs + i;

                        for (size_t k = 0; job->by_needs && state->jobs[i].take != RUN_LEAVE && k < job->n_needs; k++) {
                                if (!is_needed(state, job->needs + k))
                                        continue;
                                Link *need = links + job->needs[k].job;
                                if (fill)
                                        need->dependants[need->n_dependants] = i;
                                need->n_dependants++;
                                links[i].n_open += !fill;
                        }
                }
                for (size_t i = 0; !fill && i < pipeline->n_jobs; i++) {
                        links[i].dependants = arena_alloc(&pipeline->arena, links[i].n_dependants * sizeof(size_t));
                        links[i].n_dependants = 0;
                }
        }
}

/* The failure of a manual job that somebody asked for by name counts, unless the configuration allows it. */
static bool allows_failure(const PipelineJob *job, RunTake take) {
        bool standard = job->when == WHEN_MANUAL && !map_get_set(job->config, "allow_failure");

        return job->allow_failure && !(take == RUN_DEMAND && standard);
}

void run_state_init(RunState *state, Pipeline *pipeline, const RunTake *take) {
        size_t n = pipeline->n_jobs;
        Arena *arena = &pipeline->arena;
        RunOrder *order = arena_new(arena, RunOrder);

        *state = (RunState){ .pipeline = pipeline, .order = order };
        state->jobs = arena_alloc(arena, n * sizeof(RunJob));
        order->stages = arena_alloc(arena, pipeline->n_stages * sizeof(Stage));
        order->links = arena_alloc(arena, n * sizeof(Link));
        order->due = arena_alloc(arena, n * sizeof(size_t));
        order->n_words = n / 64 + 1;
        order->ready = arena_alloc(arena, order->n_words * sizeof(uint64_t));
        order->first_failed = SIZE_MAX;
        for (size_t i = 0; i < n; i++) {
                const PipelineJob *job = pipeline->jobs + i;
                Stage *stage = order->stages + job->stage_index;
                RunTake taken = take ? take[i] : job->included ? RUN_TAKE : RUN_LEAVE;

                state->jobs[i] = (RunJob){ taken, .allow_failure = allows_failure(job, taken), .exit_code = -1,
                                           .because = SIZE_MAX };
                if (stage->end == 0)
                        stage->first = i;
                stage->end = i + 1;
                if (taken == RUN_LEAVE)
                        continue;
                stage->seen[JOB_CREATED]++;
                stage->n_waiting += !job->by_needs;
        }
        init_groups(state);
        init_links(state);
        for (size_t i = 0; i < n; i++)
                if (state->jobs[i].take != RUN_LEAVE)
                        set_due(state, i);
        settle(state);
}

size_t run_state_next(const RunState *state) {
        for (size_t i = 0; i < state->order->n_words; i++)
                if (state->order->ready[i] != 0)
                        return i * 64 + (size_t) __builtin_ctzll(state->order->ready[i]);
        return SIZE_MAX;
}

bool run_state_idle(const RunState *state) {
        return state->order->n_active == 0;
}

void run_state_start(RunState *state, size_t job) {
        set_ready(state->order, job, false);
        change(state, job, JOB_RUNNING, state->jobs[job].allow_failure);
        state->jobs[job].n_tries++;
}

static void cancel(RunState *state) {
        for (size_t i = 0; i < state->pipeline->n_jobs; i++) {
                RunJob *job = state->jobs + i;

                if (job->take == RUN_LEAVE)
                        continue;
                if (job->status == JOB_RUNNING)
                        change(state, i, JOB_CANCELING, job->allow_failure);
                else if (job->status == JOB_CREATED || job->status == JOB_PENDING || job->status == JOB_SCHEDULED)
                        change(state, i, JOB_CANCELED, job->allow_failure);
        }
        settle(state);
}

RunNext run_state_finish(RunState *state, size_t i, const RunEnd *end) {
        const PipelineJob *of = state->pipeline->jobs + i;
        RunJob *job = state->jobs + i;
        bool allow = job->allow_failure;

        job->failure = end->success ? NULL : end->failure;
        job->exit_code = end->exit_code;
        if (job->status == JOB_CANCELING || end->success) {
                change(state, i, job->status == JOB_CANCELING ? JOB_CANCELED : JOB_SUCCESS, allow);
                settle(state);
                return RUN_GOES_ON;
        }
        if (job->n_tries <= of->retries && failure_is_retried(of, end)) {
                group_leave(state, i);
                change(state, i, JOB_PENDING, allow);
                return RUN_TRY_AGAIN;
        }
        if (of->exit_codes)
                allow = failure_is_allowed(of, end);
        change(state, i, JOB_FAILED, allow);
        if (!allow && state->pipeline->cancel_on_failure) {
                cancel(state);
                return RUN_CANCELS;
        }
        settle(state);
        return RUN_GOES_ON;
}

void run_state_cancel(RunState *state) {
        state->interrupted = true;
        cancel(state);
}

JobStatus run_state_status(const RunState *state) {
        unsigned seen = 0;

        for (size_t i = 0; i < state->pipeline->n_stages; i++)
                seen |= bits_of(state->order->stages[i].seen);
        return status_composite(seen, false);
}

bool run_state_blocks(const RunState *state, size_t job) {
        const RunJob *of = state->jobs + job;

        return of->take != RUN_LEAVE &&
               (of->status == JOB_SCHEDULED || (of->status == JOB_MANUAL && !of->allow_failure));
}

int run_state_exit_status(const RunState *state) {
        unsigned seen = 0;

        if (state->interrupted)
                return 130;
        for (size_t i = 0; i < state->pipeline->n_stages; i++)
                seen |= bits_of(state->order->stages[i].seen);
        return seen & STATUS_BIT(JOB_FAILED) ? 1 : seen & STATUS_BIT(JOB_CANCELED) ? 130 : 0;
}

const unsigned *run_state_rounds(Pipeline *pipeline, RunState *state) {
        unsigned *rounds = arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(unsigned));
        size_t *started = arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(size_t));

        run_state_init(state, pipeline, NULL);
        for (unsigned round = 1; !run_state_idle(state); round++) {
                size_t n = 0;

                for (size_t i; (i = run_state_next(state)) != SIZE_MAX; started[n++] = i) {
                        rounds[i] = round;
                        run_state_start(state, i);
                }
                for (size_t i = 0; i < n; i++)
                        (void) run_state_finish(state, started[i], &(RunEnd){ .success = true });
        }
        return rounds;
}
