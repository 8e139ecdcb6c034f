# SPDX-License-Identifier: GPL-3.0-or-later
"""Exit status: the script's number in BUILD_EXIT_CODE_FILE, build and system failures told apart."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from lab import POWER_OFF, Site
from simulation.build import Build, Failure
from simulation.jobspec import Job

FATAL_SIGNALS = ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
                 "ALRM", "TERM", "STKFLT", "XCPU", "XFSZ", "VTALRM", "PROF", "POLL", "PWR", "SYS", "RTMIN", "RTMAX"]


def run(site: Site, build: Build, script: str, environ: dict[str, str | None] | None = None,
        *options: str) -> subprocess.CompletedProcess:
    """One run call of exactly @script, with variables of the runner's changed (None: unset)."""
    env = {**build.environment(), **(environ or {})}
    return subprocess.run(site.argv("run", *options, build.script_file(script), "build_script"),
                          env={k: v for k, v in env.items() if v is not None}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", (0, 1, 2, 42, 127, 128, 255))
def test_codes(any_boot_site: Site, code: int) -> None:
    """The script's own status, as gitlab-runner would report it; 2 is nothing special."""
    with any_boot_site.started() as build:
        done = run(any_boot_site, build, f"#!/bin/bash\necho out; exit {code}\n")
        file = Path(build.exit_code_file)
        if code == 0:
            assert done.returncode == 0 and not file.exists()
        else:
            assert done.returncode == 1 and file.read_text().strip() == str(code)
            with pytest.raises(Failure) as failure:
                build.judge(done.returncode)
            assert (failure.value.reason, failure.value.exit_code) == ("script_failure", code)
        assert done.stdout == "out\n"


def test_each_signal(site: Site) -> None:
    """A script that dies of signal N gives 128+N and a line that names the signal."""
    with site.started() as build:
        for name in FATAL_SIGNALS:
            number = getattr(signal, "SIG" + name)
            # bash ignores SIGQUIT always, so that one is for a program in its place.
            victim = "exec sleep 10" if name == "QUIT" else "sleep 10"
            sender = f"(sleep 0.2; kill -{int(number)} $$) &" if name == "QUIT" else f"kill -{int(number)} $$"
            done = run(site, build, f"#!/bin/bash\nulimit -c 0\n{sender}\n{victim}\n")
            assert done.returncode == 1, (name, done)
            assert Path(build.exit_code_file).read_text().strip() == str(128 + number), name
            assert name in done.stderr or str(int(number)) in done.stderr, (name, done.stderr)


def test_stage_order_after_failure(site: Site) -> None:
    """A job killed by a signal is a script failure with that number, and after_script runs."""
    result = site.run(Job(["kill -KILL $BASHPID"], ["echo after-$CI_JOB_STATUS"]))
    assert (result.failure_reason, result.exit_code) == ("script_failure", 137) and "after-failed" in result.log


def test_missing_shell(site: Site) -> None:
    """A shell that the image does not have is the job's fault: no retry, a message that names it."""
    with site.started() as build:
        done = run(site, build, "echo hi\n", None, "--shell", "/bin/no-such-shell")
        assert done.returncode == 1 and "no-such-shell" in done.stderr, str(done)
        assert run(site, build, "#!/bin/bash\necho still works\n").stdout == "still works\n"


def test_other_shell(site: Site) -> None:
    """--shell chooses what runs the script, whatever its first line says."""
    with site.started() as build:
        done = run(site, build, "#!/bin/bash\necho ${BASH_VERSION:-plain}\n", None, "--shell", "/bin/sh")
        assert done.stdout == "plain\n", str(done)
        assert run(site, build, "#!/bin/sh\necho ${BASH_VERSION:+bash}\n").stdout == "bash\n"


def test_unreadable_script(site: Site) -> None:
    """No such script, a directory instead of one: our or the runner's fault, a system failure that names it."""
    with site.started() as build:
        for path in (build.tempdir + "/no-such-script", build.tempdir):
            done = subprocess.run(site.argv("run", path, "build_script"), env=build.environment(),
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 2 and path in done.stderr, str(done)
            assert not os.path.exists(build.exit_code_file)


def test_empty_script(site: Site) -> None:
    """Nothing to do is success."""
    with site.started() as build:
        done = run(site, build, "")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("environ, code", (
    ({"BUILD_FAILURE_EXIT_CODE": None, "SYSTEM_FAILURE_EXIT_CODE": None}, 1),
    ({"BUILD_FAILURE_EXIT_CODE": "77"}, 77),
    ({"BUILD_FAILURE_EXIT_CODE": ""}, 1),
    ({"BUILD_FAILURE_EXIT_CODE": "x"}, 1),
    ({"BUILD_EXIT_CODE_FILE": None}, 1),
    ({"BUILD_EXIT_CODE_FILE": ""}, 1),
    ({"BUILD_EXIT_CODE_FILE": "/no/such/directory/file"}, 1),
))
def test_absent_variables(site: Site, environ: dict[str, str | None], code: int) -> None:
    """Without the runner's variables the defaults hold; the script's failure stays a build failure."""
    with site.started() as build:
        assert run(site, build, "#!/bin/bash\nexit 42\n", environ).returncode == code
        assert run(site, build, "#!/bin/bash\nexit 0\n", environ).returncode == 0


@pytest.mark.supervisor_matters
def test_system_failure_code(site: Site) -> None:
    """Our own faults give SYSTEM_FAILURE_EXIT_CODE."""
    with site.started() as build:
        for value, code in (("99", 99), (None, 2)):
            env = {**build.environment(), "SYSTEM_FAILURE_EXIT_CODE": value}
            done = subprocess.run(site.argv("run", "/no/such/script", "x"), capture_output=True,
                                  env={k: v for k, v in env.items() if v is not None}, check=False)
            assert done.returncode == code


def test_stale_exit_code_file(site: Site) -> None:
    """The file of an earlier run never decides about a later one."""
    with site.started() as build:
        assert run(site, build, "#!/bin/bash\nexit 42\n").returncode == 1
        assert run(site, build, "#!/bin/bash\nexit 0\n").returncode == 0
        assert not Path(build.exit_code_file).exists()
        Path(build.exit_code_file).write_text("7\n")
        assert run(site, build, "#!/bin/bash\nexit 5\n").returncode == 1
        assert Path(build.exit_code_file).read_text().strip() == "5"
        # A system failure has no number of the script's.
        assert subprocess.run(site.argv("run", "/no/such/script", "x"), env=build.environment(), capture_output=True,
                              check=False).returncode == 2


@pytest.mark.supervisor_matters
def test_out_of_descriptors_is_survived(any_boot_site: Site) -> None:
    """A script that uses up its process limit fails alone; the next step works."""
    with any_boot_site.started() as build:
        run(any_boot_site, build, "#!/bin/bash\nulimit -n 3; cat /etc/passwd; exit 3\n")
        assert run(any_boot_site, build, "#!/bin/bash\necho fine\n").stdout == "fine\n"


@pytest.mark.supervisor_matters
def test_container_that_dies_in_a_step(any_boot_site: Site) -> None:
    """When the machine is switched off by its own step, run ends with a failure that says so."""
    with any_boot_site.started() as build:
        done = run(any_boot_site, build, f"#!/bin/bash\n{POWER_OFF}\nsleep 30\n")
        assert done.returncode in (1, 2) and done.stderr, str(done)


@pytest.mark.supervisor_matters
def test_run_without_prepare(site: Site) -> None:
    """There is no machine: a system failure, so that the runner tries again."""
    build = Build(site.runner(), Job())
    build.start_attempt()
    done = run(site, build, "#!/bin/bash\necho never\n")
    assert done.returncode == 2 and done.stdout == "" and done.stderr, str(done)
    build.cleanup()


def test_last_line(site: Site) -> None:
    """What ended a script that did not end by itself is said in one line."""
    with site.started() as build:
        done = run(site, build, "#!/bin/bash\nkill -TERM $$\n")
        assert done.returncode == 1 and done.stderr == "ERROR: The script was killed by SIGTERM\n", str(done)
        call = build.start_script("echo up; sleep 1000")
        call.wait_for_output(b"up")
        call.terminate(60, 5)
        assert call.stderr.decode().endswith("ERROR: Cancelled by SIGTERM\n"), call.output
    with site.started(Job(timeout=1)) as build:
        call = build.start_script("echo up; sleep 1000")
        call.wait_for_output(b"up")
        call.terminate(60, 5)
        assert call.stderr.decode().endswith("Cancelled by SIGTERM: the time of the job (timeout) is over\n"), call.output
