/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"

/* What to complete. Each candidate is printed as a line "WORD", or "WORD<tab>DESCRIPTION"; the line ":files" stands
 * for names of files, ":directories" for those of directories, which the shell completes itself. */
typedef struct Completion {
        const Settings *settings;
        const Command *command; /* NULL: not typed yet */
        const char *first;      /* the command's first argument, where another one is to be completed; or NULL */
        const char *word;       /* what was typed of the word */
        size_t offset;          /* of what is to be completed in it: a value behind "--option=" */
} Completion;

/* Prints @candidate if the word can become it. 0, or -ENOMEM; so do the others, which offer nothing where they cannot
 * read something. */
int complete_offer(const Completion *completion, const char *candidate, const char *description);

/* Images with old generations as NAME@N, and those of registries; definitions, for commands that make images of those. */
int complete_images(const Completion *completion);
int complete_references(const Completion *completion); /* only those of registries */
/* The numbers of generations of the image that is the first argument. */
int complete_generations(const Completion *completion);
int complete_jobs(const Completion *completion);
int complete_jobs_and_images(const Completion *completion);
/* Those of the job that is the first argument. */
int complete_services(const Completion *completion);
/* Whose caches or working copies are kept. */
int complete_projects(const Completion *completion);
int complete_suites(const Completion *completion);
int complete_pipeline_sources(const Completion *completion);
int complete_files(const Completion *completion); /* and definitions, as above */
int complete_directories(const Completion *completion);
