# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking into a job that runs: a shell in its container."""

import os
import signal
import subprocess

from lab import IMAGE, Site
from simulation.jobspec import Job, Variable
from terminal import Terminal


def type_in(site: Site, script: str, *arguments: str) -> subprocess.CompletedProcess:
    """A shell that reads @script from a pipe."""
    return subprocess.run(site.argv("shell", *arguments), input=script, capture_output=True, text=True, check=False)


def test_shell(site: Site) -> None:
    """As a person uses it: with the job's variables, on a terminal of the window's size, and out of it again whatever the
    container does. As a script uses it: commands from a pipe, and the exit status."""
    secret = Variable("SECRET", "s3cret\nof two lines", public=False, masked=True)
    done = site.call("shell", "4711")
    assert done.returncode == 1 and "Job 4711 is not running; see 'nspawn-runner status'" in done.stderr, str(done)
    with site.started(Job(image=IMAGE, variables=[secret])) as build:
        number, project = str(build.job.number), build.variable("CI_PROJECT_DIR")
        assert build.run_script(f"mkdir -p {project}; echo here > /root/file; id -u").returncode == 0

        done = type_in(site, 'echo "$SECRET,$CI_JOB_ID,$PWD,$(id -un)"; cat /root/file; exit 7\n', number)
        assert done.returncode == 7 and done.stdout == f"s3cret\nof two lines,{number},{project},root\nhere\n", done
        done = type_in(site, "id -un; pwd", number, "--user", "nobody")
        assert done.returncode == 0 and done.stdout == f"nobody\n{project}\n", done
        done = type_in(site, "", number, "--user", "no-such-user")
        assert done.returncode == 1 and "no user 'no-such-user'" in done.stderr, done
        assert "no service 'db'" in type_in(site, "", number, "db").stderr
        assert all("s3cret" not in text for text in _command_lines())

        with Terminal(site.argv("shell", site.job_id()), rows=33, columns=111) as terminal:
            terminal.expect("Ctrl-]")
            terminal.type("tty -s && echo on $TERM; stty size\n")
            terminal.expect("on vt100")
            terminal.expect("33 111")
            terminal.resize(44, 122)
            terminal.type("stty size\n")
            terminal.expect("44 122")
            terminal.type("exit 5\n")
            assert terminal.wait() == 5
        # Nothing in there reads what is typed, or hears of the end of the line.
        for way_out in ("\x1d\x1d\x1d", signal.SIGTERM):
            with Terminal(site.argv("shell", number)) as terminal:
                terminal.type("trap '' HUP TERM; exec 3<>/dev/tty; stty raw -echo; echo re'a'dy; sleep 1000\n")
                terminal.expect("ready")
                if isinstance(way_out, str):
                    terminal.type(way_out)
                else:
                    os.kill(terminal.pid, way_out)
                assert terminal.wait() == 128 + (signal.SIGHUP if isinstance(way_out, str) else way_out)
        assert build.run_script("cat /root/file").stdout == b"here\n"


def _command_lines() -> list[str]:
    """What is in the arguments of all processes."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                found.append(file.read())
        except OSError:
            continue
    return found


def test_terminal_is_restored(site: Site) -> None:
    """After the shell, the terminal is as it was, also if the container ended under it."""
    with site.started() as build:
        script = " ".join(site.argv("shell", str(build.job.number))) + "; stty -a; echo en'd'"
        with Terminal(["/bin/sh", "-c", script]) as terminal:
            terminal.expect("Ctrl-]")
            terminal.type("echo re'a'dy\n")
            terminal.expect("ready")
            assert build.cleanup().returncode == 0
            terminal.expect(" icanon")
            terminal.expect("end")
            terminal.wait()
