# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report of valgrind's memcheck says that has to be mended."""

import re

# How the paragraphs begin that say nothing about the program.
ABOUT_THE_RUN = ("Memcheck, a memory error detector", "HEAP SUMMARY:", "LEAK SUMMARY:", "All heap blocks were freed",
                 "For lists of detected and suppressed errors")
# A process that a signal ends frees nothing, and the only pointer to a block may be in a register or not yet there.
ENDED_BY_SIGTERM = "Process terminating with default action of signal 15 (SIGTERM)"
LEAK = re.compile(r"[\d,]+ (\([^)]*\) )?bytes in [\d,]+ blocks are (definitely|possibly) lost")
# libseccomp only looks with seccomp(2) what the kernel can do.
UNKNOWN_SYSTEM_CALL = re.compile(r"--\d+-- WARNING: unhandled \S+ syscall: (?!317$)")


def findings(report: str) -> list[str]:
    """Errors, each with where it is; system calls that valgrind does not know, as it made them fail itself."""
    texts = [match[1] for match in re.finditer(r"^==\d+== ?(.*)$", report, re.M)]
    paragraphs = [text.strip("\n") for text in re.split(r"\n{2,}", "\n".join(texts)) if text.strip()]
    cancelled = any(text.startswith(ENDED_BY_SIGTERM) for text in paragraphs)
    found = [text for text in paragraphs if not text.startswith(ABOUT_THE_RUN) and
             not (cancelled and (text.startswith(ENDED_BY_SIGTERM) or LEAK.match(text)))]
    return found + [line for line in report.splitlines() if UNKNOWN_SYSTEM_CALL.match(line)]
