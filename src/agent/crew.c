/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes files with several threads, because the kernel takes most of the time, and for each file anew. Called by
 * unpack.c, whose thread reads. A batch has the files of one directory or of few, so that threads seldom wait for each
 * other in one. No file may be given twice without waiting in between. */

#include "agent/crew.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "agent/beneath.h"
#include "agent/place.h"
#include "base/fd.h"

#define THREADS_MAX 4U
#define BATCH_BYTES ((size_t) 128 * 1024)
/* At the end of a directory, less will do. */
#define BATCH_BYTES_ENOUGH (BATCH_BYTES / 4)
#define STACK_BYTES ((size_t) 128 * 1024)

/* A file in a batch. The path with a NUL follows, and the content. */
typedef struct Item {
        size_t size, path_size;
        int64_t mtime_sec;
        mode_t mode;
        bool clean;
} Item;

typedef struct Batch {
        struct Batch *next;
        size_t used, parent_size; /* how long the last item's path is without its name */
        const char *path;         /* the last item's */
        unsigned char data[BATCH_BYTES];
} Batch;

typedef struct Worker {
        Crew *crew;
        Place place;
        BundleEntry entry;
        pthread_t thread;
} Worker;

struct Crew {
        Batch *filling; /* the caller's */
        unsigned n_threads, n_threads_max, n_batches;
        Worker *workers;

        pthread_mutex_t mutex;
        pthread_cond_t changed, done; /* what the threads and what the caller wait for */
        Batch *first, *last;          /* to be done, in order */
        Batch *unused;
        unsigned n_busy;
        bool ending, failed;
};

static unsigned count_cpus(void) {
        cpu_set_t set;

        return sched_getaffinity(0, sizeof(set), &set) < 0 ? THREADS_MAX : (unsigned) CPU_COUNT(&set);
}

Crew *crew_new(int root_fd, mode_t umask, const GitIndex *index) {
        unsigned n = MIN(count_cpus(), THREADS_MAX);
        Crew *crew = calloc(1, sizeof(Crew));
        Worker *workers = calloc(n, sizeof(Worker));

        if (!crew || !workers) {
                free(crew);
                free(workers);
                return NULL;
        }
        crew->workers = workers;
        crew->n_threads_max = n;
        for (unsigned i = 0; i < n; i++) {
                workers[i].crew = crew;
                place_init(&workers[i].place, root_fd, umask, index);
        }
        (void) pthread_mutex_init(&crew->mutex, NULL);
        (void) pthread_cond_init(&crew->changed, NULL);
        (void) pthread_cond_init(&crew->done, NULL);
        return crew;
}

static void lock(Crew *crew) {
        (void) pthread_mutex_lock(&crew->mutex);
}

static void unlock(Crew *crew) {
        (void) pthread_mutex_unlock(&crew->mutex);
}

static int make_file(Place *place, const BundleEntry *entry, const unsigned char *content) {
        _cleanup_close_ int fd = place_begin_file(place, entry);
        if (fd < 0)
                return fd;
        int r = fd_write_all(fd, content, entry->size);
        return r < 0 ? r : place_end_file(place, entry, fd);
}

/* False: some of its files could not be made. */
static bool make_files(Worker *worker, const Batch *batch) {
        BundleEntry *entry = &worker->entry;
        bool all = true;
        Item item;

        for (size_t offset = 0; offset < batch->used; offset += item.path_size + item.size) {
                memcpy(&item, batch->data + offset, sizeof(item));
                offset += sizeof(item);
                memcpy(entry->path, batch->data + offset, item.path_size);
                entry->type = BUNDLE_FILE;
                entry->mode = item.mode;
                entry->size = item.size;
                entry->mtime_sec = item.mtime_sec;
                entry->clean = item.clean;
                int r = make_file(&worker->place, entry, batch->data + offset + item.path_size);
                if (r < 0)
                        all = path_failed(r, entry->path) == EXIT_SUCCESS;
        }
        return all;
}

static void *work(void *userdata) {
        Worker *worker = userdata;
        Crew *crew = worker->crew;

        lock(crew);
        while (crew->first || !crew->ending) {
                Batch *batch = crew->first;

                if (!batch) {
                        (void) pthread_cond_wait(&crew->changed, &crew->mutex);
                        continue;
                }
                crew->first = batch->next;
                crew->n_busy++;
                unlock(crew);
                bool all = make_files(worker, batch);
                lock(crew);
                crew->n_busy--;
                crew->failed = crew->failed || !all;
                batch->next = crew->unused;
                crew->unused = batch;
                (void) pthread_cond_signal(&crew->done);
        }
        unlock(crew);
        return NULL;
}

static void start_thread(Crew *crew) {
        Worker *worker = crew->workers + crew->n_threads;
        pthread_attr_t attr;

        if (crew->n_threads == crew->n_threads_max || pthread_attr_init(&attr) != 0)
                return;
        (void) pthread_attr_setstacksize(&attr, STACK_BYTES);
        if (pthread_create(&worker->thread, &attr, work, worker) == 0)
                crew->n_threads++;
        (void) pthread_attr_destroy(&attr);
}

/* Gives the batch that is being filled to the threads; without any, it is done here. */
static void hand_over(Crew *crew) {
        Batch *batch = TAKE_PTR(crew->filling);

        start_thread(crew);
        lock(crew);
        if (crew->n_threads > 0) {
                batch->next = NULL;
                if (crew->first)
                        crew->last->next = batch;
                else
                        crew->first = batch;
                crew->last = batch;
                (void) pthread_cond_signal(&crew->changed);
        } else {
                crew->failed = !make_files(crew->workers, batch) || crew->failed;
                batch->next = crew->unused;
                crew->unused = batch;
        }
        unlock(crew);
}

/* An empty batch; waits if there are enough. NULL: there is no memory. */
static Batch *take_batch(Crew *crew) {
        lock(crew);
        while (!crew->unused && crew->n_batches >= 2 * MAX(crew->n_threads, 1U))
                (void) pthread_cond_wait(&crew->done, &crew->mutex);
        Batch *batch = crew->unused;
        if (batch)
                crew->unused = batch->next;
        unlock(crew);
        if (!batch) {
                batch = malloc(sizeof(Batch));
                crew->n_batches += batch != NULL;
        }
        if (batch)
                batch->used = 0;
        return batch;
}

static size_t item_size(const BundleEntry *entry) {
        return sizeof(Item) + strlen(entry->path) + 1 + (size_t) entry->size;
}

bool crew_takes(const Crew *crew, const BundleEntry *entry) {
        return crew->n_threads_max > 1 && entry->size < BATCH_BYTES && item_size(entry) <= BATCH_BYTES;
}

/* Should the batch go before @entry comes? */
static bool is_full(const Batch *batch, const BundleEntry *entry, size_t parent_size) {
        if (batch->used + item_size(entry) > BATCH_BYTES)
                return true;
        return batch->used > BATCH_BYTES_ENOUGH &&
               (parent_size != batch->parent_size || memcmp(batch->path, entry->path, parent_size) != 0);
}

static int read_content(BundleReader *reader, unsigned char *to) {
        const void *data;
        size_t size;

        do {
                int r = bundle_read(reader, &data, &size);
                if (r < 0)
                        return r;
                if (size > 0)
                        to = mempcpy(to, data, size);
        } while (size > 0);
        return 0;
}

int crew_put(Crew *crew, const BundleEntry *entry, BundleReader *reader) {
        const Item item = { .size = entry->size,
                            .path_size = strlen(entry->path) + 1,
                            .mtime_sec = entry->mtime_sec,
                            .mode = entry->mode,
                            .clean = entry->clean };
        size_t parent_size = (size_t) (last_part(entry->path) - entry->path);

        if (crew->filling && is_full(crew->filling, entry, parent_size))
                hand_over(crew);
        if (!crew->filling)
                crew->filling = take_batch(crew);
        Batch *batch = crew->filling;
        if (!batch)
                return -ENOMEM;
        unsigned char *to = mempcpy(batch->data + batch->used, &item, sizeof(item));
        batch->path = (const char *) to;
        batch->parent_size = parent_size;
        int r = read_content(reader, mempcpy(to, entry->path, item.path_size));
        if (r < 0)
                return r;
        batch->used += item_size(entry);
        return 0;
}

bool crew_wait(Crew *crew) {
        bool all = true;

        if (crew->filling && crew->n_threads == 0) {
                /* So little that no thread has been started for it. */
                all = make_files(crew->workers, crew->filling);
                crew->filling->used = 0;
        } else if (crew->filling)
                hand_over(crew);
        lock(crew);
        while (crew->first || crew->n_busy > 0)
                (void) pthread_cond_wait(&crew->done, &crew->mutex);
        all = all && !crew->failed;
        crew->failed = false;
        unlock(crew);
        return all;
}

void crew_free(Crew *crew) {
        if (!crew)
                return;
        lock(crew);
        crew->ending = true;
        (void) pthread_cond_broadcast(&crew->changed);
        unlock(crew);
        for (unsigned i = 0; i < crew->n_threads; i++)
                (void) pthread_join(crew->workers[i].thread, NULL);
        for (unsigned i = 0; i < crew->n_threads_max; i++)
                place_done(&crew->workers[i].place);
        free(crew->filling);
        for (Batch *next; crew->unused; crew->unused = next) {
                next = crew->unused->next;
                free(crew->unused);
        }
        free(crew->workers);
        free(crew);
}
