# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner's part, played for the tests, the benchmark and tools/quickstart: what a custom executor is called
with, in which order, and how its answers are judged.

    gitlabrunner   a whole job: order of calls, retries, cancellation, time limits
    build          one job: environment, files, each single call and how its exit status is judged
    stagecall      one driver process: pipes, process group, signals
    shellscript    the scripts
    jobspec        the job as GitLab sends it

`python3 -m simulation` plays one job. Nothing but Python's own library is needed. The package knows no driver: whoever
uses it says which commands are called.
"""
