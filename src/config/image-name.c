/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides whether a name from outside may be the name of an image. Called before any path is made from such a name. No
 * name may pass that could be a path, an option, or look like another name. */

#include "config/image-name.h"

#include "base/string.h"

#define NAME_MAX_BYTES 128

bool image_name_fits(const char *name) {
        return strlen(name) <= NAME_MAX_BYTES;
}

const char *image_name_problem(const char *name) {
        if (isempty(name))
                return "is empty";
        if (!image_name_fits(name))
                return "is longer than 128 bytes";
        if (*name == '.')
                return "begins with '.'";
        if (*name == '-')
                return "begins with '-'";
        for (const unsigned char *p = (const unsigned char *) name; *p; p++) {
                if (*p == '/')
                        return "contains '/'";
                /* Refuses everything but ASCII, too, so that no name looks like another image's. */
                if (*p <= 0x20 || *p >= 0x7f)
                        return "contains a blank, or a character that is not printable ASCII";
        }
        return NULL;
}
