/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <jansson.h>

#include "base/problem.h"
#include "config/settings.h"
#include "terminal/table.h"

/* What command `check` prints: findings and a line for each file, then the settings with where each comes from; or all of
 * that as JSON. */
typedef struct CheckReport {
        bool json;
        size_t n_faults;
        json_t *files, *settings; /* JSON only, as is the next one */
        json_t *findings;         /* of the present file; borrowed */
        Table *table;
        const char *file; /* the present one */
        size_t n_faults_before;
} CheckReport;

/* 0, after which check_report_done() must be called; or -errno, logged. */
int check_report_init(CheckReport *report, bool json);
void check_report_done(CheckReport *report);

/* All findings until the next call are about file @path. @image is NULL for a configuration. The strings must live as long
 * as the report. 0 or -ENOMEM, logged; so do the others. */
int check_report_begin(CheckReport *report, const char *path, const char *image);
/* Logs a finding, or keeps it for JSON. If @problem has no text, @error (-errno) says what is wrong. */
void check_report_finding(CheckReport *report, bool is_warning, const Problem *problem, int error);
/* Says that the file is right, if nothing was found; @about says what the file is. */
void check_report_end(CheckReport *report, const char *about);

/* Adds one setting. @image is NULL for the configuration's own. @file is the file that sets it, or an option's name;
 * NULL: it is the default. */
int check_report_setting(CheckReport *report, const char *image, const Settings *settings, const SettingInfo *info,
                         const char *file, unsigned line);

/* Prints the settings, or all of it as JSON. 0 or -errno, logged. */
int check_report_print(CheckReport *report);
