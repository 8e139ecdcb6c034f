# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays one CI job with the driver given on the command line and shows its log while it grows.

Usage: python3 -m simulation IMAGE -- DRIVER [OPTION...]

Exits with 0 if the job succeeded.
"""

import os
import signal
import sys
import threading

from .build import Build, Runner
from .gitlabrunner import play
from .jobspec import Job

SCRIPT = [
    "cat /etc/os-release | head -n 1",
    "python3 --version && git --version",
    "pwd && id",
    "echo \"root here is UID $(awk '{ print $2 }' /proc/self/uid_map) on the host\"",
    "echo 'made by the script' > made-by-script",
    "sleep 1000 & echo $! > pid",
]
AFTER_SCRIPT = [
    "cat made-by-script",
    "kill -0 \"$(cat pid)\" && echo 'what the script started in the background still runs, until the job ends'",
]


def show(build: Build, ended: threading.Event) -> None:
    """Copies the job's log to standard output, until it has ended and everything is shown."""
    shown = 0
    while True:
        last = ended.wait(0.02)
        text = bytes(build.log[shown:])
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
        shown += len(text)
        if last:
            return


def main() -> int:
    """Plays the job."""
    image, _, *driver = sys.argv[1:]
    runner = Runner(config_exec=[*driver, "gitlab-config"], prepare_exec=[*driver, "prepare"],
                    run_exec=[*driver, "run"], cleanup_exec=[*driver, "cleanup"])
    build = Build(runner, Job(script=SCRIPT, after_script=AFTER_SCRIPT, image=image, name="quickstart"))
    ended = threading.Event()
    screen = threading.Thread(target=show, args=(build, ended))
    screen.start()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        result = play(build)
    except KeyboardInterrupt:
        # play() has cleaned up already if the job had got beyond prepare.
        if build.running:
            build.running.terminate()
        if os.path.isdir(build.tempdir):
            build.cleanup()
        raise
    finally:
        ended.set()
        screen.join()
    if result.runner_log:
        print(result.runner_log, end="")
    succeeded = result.state == "success"
    if succeeded:
        print("Job succeeded")
    else:
        print(f"Job failed: {result.message} ({result.failure_reason})")
    print("Calls of the driver:", ", ".join(result.names()))
    return 0 if succeeded else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
