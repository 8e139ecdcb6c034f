/* Writes what it found as JUnit does. */
#include "../src/lib.h"

#include <stdio.h>

static const struct {
        const char *text;
        unsigned n;
} table[] = { { "", 0 }, { "one", 1 }, { " one  two\nthree ", 3 } };

int main(void) {
        unsigned n_failed = 0;

        puts("<testsuite name=\"words\">");
        for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                int failed = words(table[i].text) != table[i].n;

                printf("<testcase classname=\"words\" name=\"row %u\">%s</testcase>\n", i,
                       failed ? "<failure message=\"wrong number\"/>" : "");
                n_failed += failed;
        }
        puts("</testsuite>");
        return n_failed > 0;
}
