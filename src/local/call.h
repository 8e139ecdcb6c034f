/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/broker-client.h"
#include "local/event.h"
#include "local/job.h"

/* What is allowed by default of each of a job's caches, and of its artifacts: bytes of content, which a mistake fills a disk
 * with, and how many files and how many directories. */
#define FILES_BYTES_MAX (UINT64_C(5) * 1024 * 1024 * 1024)
#define FILES_MAX ((size_t) 2 * 1024 * 1024)
/* Of the list of files, with their paths and some more: it is in memory, too, and so are the names in an archive. */
#define FILES_LIST_BYTES_MAX (UINT64_C(256) * 1024 * 1024)

/* Calls of the driver's stages for one job, through the broker, with their output as lines of the job's log. */
typedef struct Caller {
        int broker_fd; /* the job's own connection */
        int events_fd;
        int cancel_fd;       /* an eventfd: written to when the job is to end */
        const LocalJob *job; /* for the variables of calls, and what logs must not show */
        unsigned cancelled;  /* 1: somebody wants the job to end; 2: at once */
        unsigned ignored;    /* of that, what does not end the moving of files: it had come before */
        bool timed_out;
        uint64_t deadline_usec;   /* of calls that may be cancelled */
        uint64_t files_bytes_max; /* of caches and artifacts, of each before it is an archive */
        size_t files_max;         /* how many files, and how many directories, each may have */
        bool late;                /* the last call's own time was up before it had ended */
        char error[480];          /* the first error that the last call reported; "": none */
} Caller;

typedef struct Call {
        BrokerStage stage;
        char *const *arguments;
        const char *script;      /* of BROKER_RUN */
        int stdin_fd;            /* negative: nothing */
        int stdout_fd;           /* negative: into the log, as stderr */
        bool to_the_end;         /* goes on when the job is cancelled for the first time, or its time is up */
        uint64_t deadline_usec;  /* of this call alone, however it goes on otherwise: it is ended then; 0: none */
        uint64_t file_bytes_max; /* of BROKER_STEP: no file that it writes becomes larger: SIGXFSZ; 0: no limit */
        bool quiet;              /* what it says is dropped */
} Call;

/* Waits until the stage has ended. @ret as of BROKER_DONE. 0; or -errno when the broker is gone or does not start it. */
int caller_call(Caller *caller, const Call *call, BrokerReply *ret);

/* Waits until something can be read from @fd, or it hangs up. 0, also when the job is cancelled or its time is up: the
 * @caller says so; or -errno when the broker is gone. */
int caller_wait(Caller *caller, int fd);

/* Looks without waiting whether the moving of files is to end. 0; -ECANCELED; -ETIME: the job's time is up; or another -errno
 * when the broker is gone. @caller (NULL: nobody can want that) says so, too. */
int caller_check(Caller *caller);

/* Adds our own line to the job's log, with secrets replaced. */
void caller_log(Caller *caller, const char *format, ...) _printf_(2, 3);
