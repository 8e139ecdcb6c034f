/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says what maintenance would do with an image, for `chroot-maintenance --dry-run`. It decides as make.c does, with the
 * functions of decide.c, but it must take no lock and change nothing. */

#include "maintain/forecast.h"

#include "base/string.h"
#include "image/generation.h"
#include "maintain/decide.h"
#include "source/source.h"

/* What is known before anything is decided. */
typedef struct Known {
        Image *current; /* NULL: there is no image yet */
        Generation *about;
        Image *base; /* NULL: the base does not exist, or the image needs none */
        char *description;
} Known;

static void known_done(Known *known) {
        image_free(known->current);
        generation_free(known->about);
        image_free(known->base);
        free(known->description);
}

static int look(const Settings *settings, const Definition *definition, Known *known, Problem *reterr_problem) {
        int r = definition->source.kind == SOURCE_NONE ? 0 : source_describe(&definition->source, &known->description);
        if (r < 0)
                return r;
        r = image_open(settings->root_dir, definition->name, &known->current);
        if (r == -ENODATA || r == -ENOTDIR)
                return problem_set(reterr_problem, -EINVAL, "'%s/%s' exists, and is not an image", settings->root_dir,
                                   definition->name);
        if (r < 0 && r != -ENOENT)
                return r;
        if (known->current) {
                r = generation_load_of(known->current, &known->about);
                if (r < 0)
                        return r;
        }
        if (definition->source.kind != SOURCE_FROM)
                return 0;
        r = image_open(settings->root_dir, definition->source.from, &known->base);
        return r == -ENOENT ? 0 : r;
}

static int say(Forecast *ret, ForecastAction action, const char *why) {
        ret->action = action;
        return string_replace(&ret->why, why);
}

static int say_create(const Definition *definition, const Known *known, Forecast *ret, Problem *reterr_problem) {
        if (definition->source.kind == SOURCE_NONE)
                return problem_set(reterr_problem, -EINVAL,
                                   "its definition does not say what to make it from (nspawn_runner_chroot_suite, "
                                   "nspawn_runner_oci, ...)");
        return say(ret, FORECAST_CREATE, known->description);
}

/* Forecasts what happens to an image that exists. */
static int say_existing(const Definition *definition, const Known *known, bool from_source, Forecast *ret) {
        SourceKind kind = definition->source.kind;

        if (from_source && (kind == SOURCE_OCI || kind == SOURCE_TARBALL) && !definition->recreate &&
            streq_null(known->about->source, known->description))
                return say(ret, FORECAST_ASK, known->description);
        if (from_source)
                return say(ret, FORECAST_ANEW,
                           definition->recreate ? "nspawn_runner_maint_recreate is set" :
                           kind == SOURCE_FROM  ? "the image that it is made from is another one now" :
                                                  "its definition says something else about its source");
        if (!decide_can_be_updated(definition))
                return say(ret, FORECAST_NOTHING, "it has no suite and no tasks");
        if (kind != SOURCE_SUITE)
                return say(ret, FORECAST_UPDATE, "run its playbook");
        return say(ret, FORECAST_UPDATE,
                   definition->has_tasks ? "upgrade packages, run its playbook" : "upgrade packages");
}

int forecast_image(const Settings *settings, const Definition *definition, bool base_changes, Forecast *ret,
                   Problem *reterr_problem) {
        _cleanup_(known_done) Known known = { 0 };
        bool from_source = true;

        int r = look(settings, definition, &known, reterr_problem);
        if (r < 0)
                return reterr_problem->text[0] ? r : problem_set(reterr_problem, r, "cannot look at what is there: %m");
        if (definition->source.kind == SOURCE_FROM && !known.base && !base_changes)
                return problem_set(reterr_problem, -EINVAL, "there is no image '%s', which it is made from",
                                   definition->source.from);
        if (!known.current)
                return say_create(definition, &known, ret, reterr_problem);
        if (definition->source.kind == SOURCE_FROM && base_changes)
                return say(ret, FORECAST_ANEW, "the image that it is made from may change before");

        Decision decision = { definition, known.about, known.base, known.description };
        r = decide_from_source(&decision, &from_source);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot compare it with its source: %m");
        return say_existing(definition, &known, from_source, ret);
}
