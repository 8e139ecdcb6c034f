/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"
#include "job/spec.h"

/* Writes into the plan @machine what people know the job by. What is in no terminal's and no journal's interest, such as control
 * characters, becomes '?', and long texts are cut. 0 or -ENOMEM. */
int job_describe(const JobSpec *job, Machine *machine);
