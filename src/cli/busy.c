/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shows on a terminal that a command is at work: a thread draws a line once a second. Called by commands whose work takes
 * as long as there are files. The thread touches nothing but the terminal. */

#include "cli/busy.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

/* One for the process, which has one terminal. */
static struct {
        pthread_mutex_t mutex;
        pthread_cond_t ends;
        pthread_t thread;
        const char *what; /* NULL: nothing is being done */
        uint64_t begin_usec;
        bool drawn;
} busy = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void clear(void) {
        if (busy.drawn)
                (void) fd_write_all(STDERR_FILENO, "\r\033[K", 4);
        busy.drawn = false;
}

static void draw(void) {
        unsigned long long seconds = (clock_now_usec() - busy.begin_usec) / USEC_PER_SEC;
        char line[128];

        snprintf(line, sizeof(line), "\r\033[K[%llu:%02llu] %.60s", seconds / 60, seconds % 60, busy.what);
        (void) fd_write_all(STDERR_FILENO, line, strlen(line));
        busy.drawn = true;
}

static void before_message(void) {
        pthread_mutex_lock(&busy.mutex);
        clear();
        pthread_mutex_unlock(&busy.mutex);
}

static void *show(_unused_ void *userdata) {
        struct timespec next;

        clock_gettime(CLOCK_MONOTONIC, &next);
        pthread_mutex_lock(&busy.mutex);
        while (busy.what) {
                next.tv_sec++;
                while (busy.what && pthread_cond_timedwait(&busy.ends, &busy.mutex, &next) == 0)
                        ;
                if (busy.what)
                        draw();
        }
        pthread_mutex_unlock(&busy.mutex);
        return NULL;
}

void busy_begin(const char *what) {
        pthread_condattr_t attributes;
        sigset_t all, before;

        if (busy.what || log_get_level() < LOG_LEVEL_NOTICE || !isatty(STDERR_FILENO))
                return;
        busy.what = what;
        busy.begin_usec = clock_now_usec();
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&busy.ends, &attributes);
        pthread_condattr_destroy(&attributes);

        /* Only the thread that works gets signals. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int r = pthread_create(&busy.thread, NULL, show, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                busy.what = NULL;
        else
                log_set_hook(before_message);
}

void busy_end(void) {
        if (!busy.what)
                return;
        pthread_mutex_lock(&busy.mutex);
        busy.what = NULL;
        clear();
        pthread_cond_signal(&busy.ends);
        pthread_mutex_unlock(&busy.mutex);
        pthread_join(busy.thread, NULL);
        log_set_hook(NULL);
        pthread_cond_destroy(&busy.ends);
}
