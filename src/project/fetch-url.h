/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "project/fetch-run.h"

/* Reads what is at @url. @integrity may be NULL; @shown is how messages call it. As PipelineProvider.read. */
int fetch_url_read(Fetch *fetch, const char *url, const char *shown, const char *integrity, char **ret_data,
                   size_t *ret_size);
