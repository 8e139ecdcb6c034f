/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The marks with which jobs and GitLab Runner divide a log: "section_start:TIME:NAME[collapsed=true]\r\033[0KTITLE" and
 * "section_end:TIME:NAME\r\033[0K". Source: GitLab's documentation of custom collapsible sections. */

#define SECTION_NAME_BYTES_MAX 128

typedef enum SectionMark { SECTION_NONE, SECTION_START, SECTION_END } SectionMark;

typedef struct Section {
        SectionMark mark;
        char name[SECTION_NAME_BYTES_MAX]; /* cut if it is longer */
        bool collapsed;
} Section;

/* Reads a mark at the beginning of *line, and moves *line behind it. Without a mark, *line stays and the mark is
 * SECTION_NONE. A line may have several. */
void section_take(const char **line, Section *ret);
