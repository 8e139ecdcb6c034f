/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "definition/definition.h"

/* What make_image() (maintain/make.h) would do with an image now. */

typedef enum ForecastAction {
        FORECAST_NOTHING,
        FORECAST_CREATE, /* there is no image yet */
        FORECAST_ANEW,   /* make it from its source again */
        FORECAST_ASK,    /* ask whether the source has something new; if not, update as below or do nothing */
        FORECAST_UPDATE, /* upgrade or run the playbook in a copy; published only if that changes something */
} ForecastAction;

typedef struct Forecast {
        ForecastAction action;
        char *why; /* in a few words, to be freed */
} Forecast;

/* Forecasts what maintenance would do. It asks no source and changes nothing. @base_changes: the image that this one is
 * made from will be made, or may change, before. Returns 0; -EINVAL: the image cannot be made; or another -errno. On
 * failure @reterr_problem says why. */
int forecast_image(const Settings *settings, const Definition *definition, bool base_changes, Forecast *ret,
                   Problem *reterr_problem);
