/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"
#include "job/spec.h"

/* Writes into the plan @machine what people know the job by. Characters that could harm a terminal or a journal, such
 * as control characters, become '?'; long texts are cut at 255 bytes. 0 or -ENOMEM, with the plan filled in part. */
int job_describe(const JobSpec *job, Machine *machine);
