/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include "base/macro.h"

/* How `exec` shows the log of one job among those of others: each line with the job's name before it. On a terminal, stages
 * that are not the job's own scripts, and sections that the job wants collapsed, become one line; if the job fails in one, its
 * lines are shown then. */

/* Where it is shown. */
typedef struct ExecScreen {
        FILE *to;
        bool terminal; /* it folds, and may be drawn anew */
        bool colours;
} ExecScreen;

#define EXEC_LOG_KEPT_MAX 200 /* last lines of what is folded */

typedef struct ExecLog {
        char *name; /* without control characters */
        unsigned colour, name_width;
        char *title;         /* of the stage of the job; owned */
        uint64_t begin_usec; /* of what is folded */
        bool folds;
        char *fold_title, *fold_name; /* the name is NULL for a stage; owned */
        char **kept;
        size_t n_kept, n_lines;
} ExecLog;

/* 0 or -ENOMEM. @colour may be any number: it decides which colour the name has. @name_width is in columns. */
int exec_log_init(ExecLog *log, const char *name, unsigned colour, unsigned name_width);
void exec_log_done(ExecLog *log);

/* A stage begins. @own: it is one of the job's scripts. */
void exec_log_stage(ExecLog *log, const ExecScreen *screen, const char *title, bool own, uint64_t now_usec);
/* A line of the log, without its end, as the job wrote it. */
void exec_log_line(ExecLog *log, const ExecScreen *screen, const char *line, uint64_t now_usec);
/* The job ends: what is folded ends too, or is shown if it failed. */
void exec_log_end(ExecLog *log, const ExecScreen *screen, bool failed, uint64_t now_usec);
/* Something about the job that its log does not say, in the colour @style ("1;31"; NULL: none). */
void exec_log_say(const ExecLog *log, const ExecScreen *screen, const char *style, const char *text);
