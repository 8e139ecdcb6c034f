/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes URLs for curl where they do not show: everybody can read the arguments of a program, and a URL may have a password
 * in it. Called by all that fetch with curl (project/fetch-url.c, source/source-tarball.c). No character of a URL may end
 * its string: what follows would be options. */

#include "base/curl-config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int curl_config_url(const char *url, char **ret) {
        char *text = malloc(2 * strlen(url) + strlen("url = \"\"\n") + 1);

        if (!text)
                return -ENOMEM;
        char *end = stpcpy(text, "url = \"");
        for (; *url; url++) {
                if (*url == '"' || *url == '\\' || *url == '\n')
                        *end++ = '\\';
                *end++ = *url == '\n' ? 'n' : *url;
        }
        (void) stpcpy(end, "\"\n");
        *ret = text;
        return 0;
}
