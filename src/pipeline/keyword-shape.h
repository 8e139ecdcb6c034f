/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/shape.h"

/* What the values of keywords of jobs look like. */
extern const Shape shape_allow_failure, shape_artifacts, shape_cache, shape_dast, shape_environment, shape_hooks,
        shape_id_tokens, shape_identity, shape_image, shape_inherit, shape_job_inputs, shape_job_when, shape_pages,
        shape_policy, shape_release, shape_retry, shape_run, shape_services, shape_tags, shape_trigger,
        shape_trigger_when;
