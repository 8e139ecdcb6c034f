#pragma once

/* The number of words in a text. */
unsigned words(const char *text);
