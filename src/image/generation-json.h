/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/generation.h"

#define GENERATION_JSON_SUFFIX ".json"

/* The name `<number>.json`. */
typedef struct GenerationJsonName {
        char text[32];
} GenerationJsonName;

GenerationJsonName generation_json_name(uint64_t number);

/* Writes `<number>.json` in the directory of an image's generations, @dir_fd, completely or not at all. 0 or -errno. */
int generation_save_at(int dir_fd, const Generation *generation);

/* Reads `<number>.json`. Returns as generation_load(). */
int generation_load_at(int dir_fd, uint64_t number, Generation **ret);
