/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "definition/definition.h"

/* What make_image() (maintain/make.h) would do with an image now. */

typedef enum ForecastAction {
        FORECAST_NOTHING,
        FORECAST_CREATE, /* there is none yet */
        FORECAST_ANEW,   /* make it from its source again */
        FORECAST_ASK,    /* ask the source whether it has something new; if not, as FORECAST_UPDATE or nothing */
        FORECAST_UPDATE, /* upgrade or run the playbook in a copy; published only if that changes something */
} ForecastAction;

typedef struct Forecast {
        ForecastAction action;
        char *why; /* in a few words, to be freed */
} Forecast;

/* Asks no source and changes nothing. @base_changes: the image that this one is made from will be made or may change
 * before. 0; -EINVAL with @reterr_problem saying why the image cannot be made; or another -errno, likewise. */
int forecast_image(const Settings *settings, const Definition *definition, bool base_changes, Forecast *ret,
                   Problem *reterr_problem);
