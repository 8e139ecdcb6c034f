/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* Messages for people, on stderr, one line each; with priorities for the journal. In a CI job this is the job's log: never
 * log a secret. Only main.c, the commands, and exec/, doctor/ and terminal/ for them log; all other layers return errors. */

typedef enum LogLevel {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_NOTICE,  /* always shown: what users of the command want to see */
        LOG_LEVEL_VERBOSE, /* --verbose */
        LOG_LEVEL_DEBUG,   /* --debug */
} LogLevel;

/* Shows messages up to @level; the default is LOG_LEVEL_NOTICE. */
void log_set_level(LogLevel level);
LogLevel log_get_level(void);

/* Called before each message is printed, to take something off the terminal; NULL: nothing. */
void log_set_hook(void (*hook)(void));

/* Shall what is printed to @fd, stdout or stderr, have colours? It must be a terminal, and NO_COLOR must not be set. */
bool log_has_colors(int fd);

/* What all messages of this process are about from now on: they begin with it. NULL: nothing. Returns the
 * one before. */
const char *log_set_subject(const char *subject);

/* Prints one message. @error is 0, or an errno of either sign, which "%m" in @format stands for. Control characters in the
 * message are shown as \xNN, so that a hostile name cannot forge lines. Preserves errno. Returns -abs(@error). */
int log_full(LogLevel level, int error, const char *format, ...) _printf_(3, 4);

#define log_error(...) ((void) log_full(LOG_LEVEL_ERROR, 0, __VA_ARGS__))
#define log_warning(...) ((void) log_full(LOG_LEVEL_WARNING, 0, __VA_ARGS__))
#define log_notice(...) ((void) log_full(LOG_LEVEL_NOTICE, 0, __VA_ARGS__))
#define log_verbose(...) ((void) log_full(LOG_LEVEL_VERBOSE, 0, __VA_ARGS__))
#define log_debug(...) ((void) log_full(LOG_LEVEL_DEBUG, 0, __VA_ARGS__))

#define log_error_errno(error, ...) log_full(LOG_LEVEL_ERROR, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_full(LOG_LEVEL_WARNING, error, __VA_ARGS__)
#define log_debug_errno(error, ...) log_full(LOG_LEVEL_DEBUG, error, __VA_ARGS__)

/* Says why something failed with @error (-errno), which it returns. */
int log_problem(int error, const Problem *problem);

#define log_oom() log_full(LOG_LEVEL_ERROR, ENOMEM, "Out of memory")
