# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancelling: SIGTERM to run's process group, SIGKILL to run, time limits, cleanup beside a living run."""

import signal
import threading
import time

import pytest

from lab import Site
from pace import PATIENCE, wait_until
from simulation.build import Build
from simulation.gitlabrunner import play
from simulation.jobspec import Job
from simulation.stagecall import StageCall

pytestmark = pytest.mark.supervisor_matters

KILL_TIMEOUT = {"kill_timeout": "1s"}

# Each prints "begun", then waits in its own way for the end.
WAITING = {
    "shell": "echo begun; while :; do sleep 0.1; done",
    "foreground": "echo begun; sleep 1000",
    "pipeline": "echo begun; sleep 1000 | sleep 1000 | cat",
    "children": "for i in 1 2 3; do sleep 1000 & done; echo begun; wait",
    "ignores-term": "trap '' TERM; echo begun; sleep 1000; sleep 1000",
    "all-ignore-term": "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & echo begun; wait",
    "stopped": "echo begun; kill -STOP $BASHPID",
    # Loses its parent to the SIGTERM, and is in no session of the step's.
    "deaf-orphan": "deaf='trap : TERM; echo begun; while :; do sleep 0.1; done'; sh -c \"setsid sh -c '$deaf'; true\"",
    # By mistake, as when a script makes a chroot and clears up after it: then there is no list of the processes.
    "without-proc": "umount -l /proc; sleep 1000 & echo begun; sleep 1000",
    # Each process of the chain is gone before it can be seen.
    "runaway": "exec python3 -c 'import os, signal; signal.signal(15, signal.SIG_IGN); print(\"begun\", flush=True)\n"
               "if os.fork(): signal.pause()\nwhile True:\n if os.fork(): os._exit(0)'",
}


def marked(body: str) -> str:
    """@body with an environment that marks the step's processes."""
    return f"export STEP_MARK=1; {body}"


def step_pids(site: Site) -> list[int]:
    """Living processes of marked steps."""
    found = []
    for pid in site.container_pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if b"STEP_MARK=1" in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def assert_step_ends(site: Site) -> None:
    """No process of the cancelled step remains. SIGKILL's work may take the kernel a moment."""
    wait_until(lambda: not step_pids(site))


def begin(build: Build, body: str, stage: str = "build_script") -> StageCall:
    """Starts a marked step and waits until it says that it has begun."""
    call = build.start_script(marked(body), stage)
    call.wait_for_output(b"begun")
    return call


@pytest.mark.parametrize("how", WAITING)
def test_sigterm_to_the_group(make_site, how: str) -> None:
    """The step and what it started ends, run fails, and the next run works."""
    site = make_site(**KILL_TIMEOUT)
    with site.started() as build:
        call = begin(build, WAITING[how])
        call.terminate(PATIENCE, 5)
        assert call.returncode in (1, 2), call.output
        assert_step_ends(site)
        assert build.run_script("echo after").stdout == b"after\n"


def test_sigterm_in_boot_mode(make_site) -> None:
    """The same where systemd runs the container."""
    site = make_site(boot="yes", **KILL_TIMEOUT)
    with site.started() as build:
        call = begin(build, WAITING["all-ignore-term"])
        call.terminate(PATIENCE, 5)
        assert call.returncode in (1, 2), call.output
        assert_step_ends(site)
        assert build.run_script("echo after").stdout == b"after\n"


def test_step_hears_sigterm(make_site) -> None:
    """The step gets SIGTERM and its grace time: traps run, and what they print arrives."""
    site = make_site(kill_timeout="30s")
    with site.started() as build:
        call = build.start_script("#!/bin/bash\ntrap 'echo trapped; exit 3' TERM\necho begun\n"
                                  "while :; do sleep 0.1; done\n", raw=True)
        call.wait_for_output(b"begun")
        call.terminate(PATIENCE, 5)
        assert call.stdout.endswith(b"trapped\n") and call.returncode in (1, 2)


def test_exit_zero_after_sigterm_is_no_success(site: Site) -> None:
    """gitlab-runner takes exit 0 after its SIGTERM for success: a cancelled run never gives it."""
    with site.started() as build:
        script = "#!/bin/bash\ntrap 'exit 0' TERM\necho begun\nwhile :; do sleep 0.1; done\n"
        call = build.start_script(script, raw=True)
        call.wait_for_output(b"begun")
        call.terminate(PATIENCE, 5)
        assert call.returncode in (1, 2)


@pytest.mark.parametrize("how", ("foreground", "children", "all-ignore-term"))
def test_sigkill_to_run(any_boot_site: Site, how: str) -> None:
    """run cannot react; the agent notices and ends the step. The next run works."""
    site = any_boot_site
    site.settings.update(KILL_TIMEOUT)
    site.write_config()
    with site.started() as build:
        call = begin(build, WAITING[how])
        call.signal_group(signal.SIGKILL)
        assert call.wait(PATIENCE) and call.returncode == -1
        assert_step_ends(site)
        assert build.run_script("echo after").stdout == b"after\n"


def test_other_steps_are_not_touched(make_site) -> None:
    """Cancelling one run leaves background processes of earlier steps and other runs alone."""
    site = make_site(**KILL_TIMEOUT)
    with site.started() as build:
        pid = build.run_script("sleep 1000 > /dev/null 2>&1 & echo $!").stdout.decode().strip()
        other = build.start_script("echo begun; while ! test -e /tmp/go; do sleep 0.02; done; echo finished")
        other.wait_for_output(b"begun")
        begin(build, WAITING["children"]).terminate(PATIENCE, 5)
        build.run_script(f"kill -0 {pid}; touch /tmp/go")
        assert other.wait(PATIENCE) and other.returncode == 0 and other.stdout == b"begun\nfinished\n"


def test_sigterm_at_any_moment_of_run(site: Site) -> None:
    """Also before the step has begun, and while it ends: run always ends, and never with success unless it was."""
    with site.started() as build:
        for step in range(25):
            call = build.start_script(f"echo begun; touch /tmp/whole-{step}")
            time.sleep(step * 0.0004)
            call.terminate(PATIENCE, 5)
            assert call.returncode in (-1, 0, 1, 2)
            whole = build.run_script(f"test -e /tmp/whole-{step} && echo yes || echo no").stdout == b"yes\n"
            assert whole or call.returncode != 0


def in_thread(build: Build) -> tuple[threading.Thread, list]:
    """Plays a build in another thread; its Result comes into the list."""
    results: list = []
    thread = threading.Thread(target=lambda: results.append(play(build)))
    thread.start()
    return thread, results


def wait_for_log(build: Build, text: bytes) -> None:
    """Waits until the job log has @text."""
    wait_until(lambda: text in build.log)


def test_cancelled_job(any_boot_site: Site) -> None:
    """"canceling" in the user's script: after_script still runs, with CI_JOB_STATUS=canceled."""
    build = Build(any_boot_site.runner(), Job(["echo be''gun", "sleep 1000"], ["echo after-$CI_JOB_STATUS"]))
    thread, results = in_thread(build)
    wait_for_log(build, b"begun")
    build.cancel()
    thread.join(PATIENCE)
    assert results and results[0].failure_reason == "job_canceled", build.log
    assert "after-canceled" in results[0].log
    assert any_boot_site.traces() == []


def test_aborted_job(any_boot_site: Site) -> None:
    """"canceled": the call is killed, only cleanup follows, and it leaves nothing."""
    build = Build(any_boot_site.runner(), Job(["echo be''gun", "sleep 1000"], ["echo af''ter"]))
    thread, results = in_thread(build)
    wait_for_log(build, b"begun")
    build.abort()
    thread.join(PATIENCE)
    assert results and results[0].names()[-2:] == ["build_script", "cleanup"], results
    assert "\nafter\n" not in results[0].log
    assert any_boot_site.traces() == []


def test_script_timeout(site: Site) -> None:
    """RUNNER_SCRIPT_TIMEOUT ends the script, after_script runs with status timedout."""
    result = site.run(Job(["sleep 1000"], ["echo after-$CI_JOB_STATUS"],
                          variables=[("RUNNER_SCRIPT_TIMEOUT", "500ms")]))
    assert result.failure_reason == "job_execution_timeout" and "after-timedout" in result.log, str(result)


def test_abort_in_prepare(any_boot_site: Site) -> None:
    """SIGTERM to prepare at any moment: it ends as a failure, and cleanup leaves nothing."""
    for delay in (0.0, 0.005, 0.02, 0.06):
        build = Build(any_boot_site.runner(), Job())
        build.start_attempt()
        build.config()
        call = build.start("prepare", build.runner.prepare_exec)
        time.sleep(delay)
        call.terminate(PATIENCE, 5)
        assert call.returncode in (-1, 0, 1, 2)
        build.cleanup()
        assert any_boot_site.traces() == []


@pytest.mark.parametrize("how", ("foreground", "all-ignore-term", "stopped"))
def test_cleanup_while_run_lives(site: Site, how: str) -> None:
    """After an abort cleanup may start while run is still there: it ends the job all the same, and run too."""
    build = Build(site.runner(), Job()).begin()
    call = begin(build, WAITING[how])
    cleanup = build.cleanup()
    assert cleanup and cleanup.returncode == 0, cleanup
    assert call.wait(PATIENCE) and call.returncode in (1, 2), call.output
    assert site.traces() == []


def test_cleanup_twice_at_once(site: Site) -> None:
    """Two cleanups of one job do not disturb each other."""
    with site.started() as build:
        calls = [build.start("cleanup", build.runner.cleanup_exec) for _ in range(3)]
        for call in calls:
            assert call.wait(PATIENCE) and call.returncode == 0, call.output
        assert site.traces() == []
