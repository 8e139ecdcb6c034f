# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking into a job that runs, or that failed: a shell in its container, what it changed, and its files."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Callable

import host
from lab import IMAGE, Site
from pace import wait_until
from simulation.build import Build, Failure
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


def test_run_by_hand(site: Site) -> None:
    """Who calls `run` and is not GitLab Runner pipes a script in, and is told how it ended."""
    assert site.call("prepare", "--id", "hand", IMAGE).returncode == 0
    for path in ("/dev/stdin", "-"):
        done = subprocess.run(site.argv("run", "--id", "hand", path), input="echo hello; exit 7", capture_output=True,
                              text=True, check=False)
        assert done.returncode == 1 and done.stdout == "hello\n", done
        assert "The script ended with exit status 7" in done.stderr, done
    done = site.call("run", "--id", "hand", "/dev/stdin", env={"BUILD_EXIT_CODE_FILE": str(site.directory / "status")})
    assert done.returncode == 0 and "ended with" not in done.stderr, str(done)
    assert site.call("cleanup", "--id", "hand").returncode == 0


def test_not_root(make_site: Callable[..., Site], tiny_root: Path) -> None:
    """Who is not root is told once, before anything else."""
    site = make_site(root=tiny_root)
    for arguments in (["shell", "1"], ["job-diff", "1"], ["job-copy", "1", "/a", "b"], ["chroot-run", "none", "true"],
                      ["chroot-remove", "none", "--yes"], ["chroot-login", "none"], ["chroot-create", "new"]):
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *site.argv(*arguments)],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "sudo nspawn-runner" in done.stderr, (arguments, done)
        assert len(done.stderr.splitlines()) == 1, (arguments, done)


HOSTILE = r"""
mkdir -p /root/out/deep && cd /root/out && printf evidence > deep/log && chmod 4711 deep/log
ln -s /etc/shadow secret; ln -s ../../../../../../etc/hostname up; mkfifo pipe; ln -s /root/out/deep /root/way
truncate -s 100G sparse; mkdir proc; mount --bind /proc proc 2>/dev/null
mkdir -p /usr/new; echo changed >> /etc/passwd; rm -f /etc/issue
exit 3
"""


def kept(site: Site) -> list[str]:
    """The ids of jobs that status shows as kept."""
    return [row["id"] for row in json.loads(site.call("status", "--json").stdout)["jobs"] if row["state"] == "kept"]


def failed(site: Site, script: str = "exit 3", stage: str = "build_script") -> Build:
    """A job whose script was run, and that was cleaned up."""
    build = Build(site.runner(), Job(image=IMAGE)).begin()
    with suppress(Failure):
        build.run_script(script, stage)
    assert build.cleanup().returncode == 0
    return build


def test_keep_failed(make_site: Callable[..., Site], tmp_path: Path) -> None:
    """A failed job can be looked into until its time is over; others go at once."""
    site = make_site(keep_failed="1h", keep_failed_max=2)
    for script, stage in (("exit 0", "build_script"), ("exit 1", "after_script"), ("exit 1", "archive_cache")):
        failed(site, script, stage)
        assert site.traces() == [], stage
    build = failed(site, HOSTILE)
    number, job = str(build.job.number), site.job_id()
    log = build.runner_log.decode()
    assert "build_script: exit status 3" in log and f"nspawn-runner shell {job}" in log, log
    assert kept(site) == [job]
    assert site.call("gc").returncode == 0 and kept(site) == [job]

    done = type_in(site, "echo $CI_JOB_ID; cat /root/out/deep/log", number)
    assert done.stdout == f"{number}\nevidence", done

    rows = json.loads(site.call("job-diff", "--json", number).stdout)["differences"]
    changes = {row["name"]: row["change"] for row in rows if row["kind"] == "file"}
    assert changes["/root/out/deep/log"] == changes["/usr/new"] == "added", changes
    assert changes["/etc/passwd"] == "changed" and changes["/etc/issue"] == "removed", changes
    assert not {"/etc/hostname", "/etc/hosts", "/etc", "/usr/bin", "/root/.bashrc"} & changes.keys(), changes

    (tmp_path / "here").mkdir()
    done = site.call("job-copy", number, "/root/out", str(tmp_path / "here"))
    assert done.returncode == 0 and "Not copied: " in done.stderr, str(done)
    copy = tmp_path / "here/out"
    assert (copy / "deep/log").read_text() == "evidence" and (copy / "deep/log").stat().st_mode & 0o7777 == 0o711
    assert (copy / "deep/log").stat().st_uid == os.geteuid()
    assert os.readlink(copy / "secret") == "/etc/shadow" and not (copy / "pipe").exists()
    assert (copy / "sparse").stat().st_blocks < 1000 and not list((copy / "proc").glob("*/status"))
    # Links of the job lead to what is in the job.
    for path, what in (("/root/out/secret", "root:*"), ("/root/out/up", site.machine()), ("root/way/log", "evidence")):
        name = path.rsplit("/", maxsplit=1)[-1] + "-copy"
        assert site.call("job-copy", number, path, str(tmp_path / name)).returncode == 0
        assert what in (tmp_path / name).read_text(), path
    for source, target, why in (("/root/out", "here", "is in"), ("/none", "x", "No such file"), ("/dev/null", "x", "neither"),
                                ("/proc/1/environ", "x", "neither"), ("/root/out", "none/x", "Cannot open directory")):
        done = site.call("job-copy", number, source, str(tmp_path / target))
        assert done.returncode == 1 and why in done.stderr, (source, str(done))

    second, third = failed(site), failed(site)
    assert len(kept(site)) == 2 and job not in kept(site)
    done = site.call("cleanup", "--now", "--id", str(second.job.number))
    assert done.returncode == 0 and [row.split("-")[0] for row in kept(site)] == [str(third.job.number)], str(done)
    # Together they may have written so much: the one that was kept longest goes.
    site.settings["keep_failed_size"] = "100M"
    site.write_config()
    large = failed(site, "head -c 60M /dev/urandom >/large; exit 3")
    assert len(kept(site)) == 2
    failed(site, "head -c 30M /dev/urandom >/large; exit 3")  # the third one goes, by number
    wait_until(lambda: len(kept(site)) == 2)
    failed(site, "head -c 60M /dev/urandom >/large; exit 3")
    wait_until(lambda: len(kept(site)) == 2 and not any(row.startswith(f"{large.job.number}-") for row in kept(site)))
    # One that has written more itself is not kept, whoever finds that out.
    failed(site, "head -c 120M /dev/urandom >/large; exit 3")
    wait_until(lambda: len(kept(site)) == 2)
    assert site.call("cleanup", "--now", "--id", kept(site)[0]).returncode == 0
    # Its container ends: so does the process that waits for its time.
    assert site.call("cleanup", "--now", "--id", kept(site)[0]).returncode == 0
    wait_until(lambda: site.traces() == [])


def test_keep_failed_without_agent(make_site: Callable[..., Site]) -> None:
    """The time goes on, too, if the agent in the container is killed, as root there can do it."""
    site = make_site(keep_failed="15s", boot="yes")
    failed(site)
    agents = [pid for pid in site.container_pids() if host.read(f"/proc/{pid}/comm").strip() == "nspawn-runner-a"]
    assert len(kept(site)) == 1 and agents
    for pid in agents:
        host.kill(pid)
    wait_until(lambda: not set(agents) & set(host.processes()))
    assert len(kept(site)) == 1
    wait_until(lambda: site.traces() == [])


def test_keep_failed_ends(make_site: Callable[..., Site]) -> None:
    """When the time is over, the job goes by itself, and without the process that sees to that, the next job removes it. Where
    the disk has no room, none is kept."""
    site = make_site(keep_failed="1s")
    failed(site)
    wait_until(lambda: site.traces() == [])
    failed(site)

    def is_alone() -> bool:
        pids = [pid for pid, command in host.processes().items() if f"{site.config} end-kept" in command]
        for pid in pids:
            host.kill(pid)
        return not pids

    wait_until(is_alone)
    wait_until(lambda: kept(site) == [])
    if site.jobs():  # it was killed in time
        assert "Would remove job" in site.call("gc", "--dry-run").stderr
    assert site.run(Job()).state == "success"
    assert site.traces() == []
    site.settings.update(keep_failed="1h")
    site.write_config()
    failed(site)
    assert len(kept(site)) == 1
    build = Build(site.runner(), Job(image=IMAGE)).begin()
    with suppress(Failure):
        build.run_script("exit 1")
    site.settings["disk_reserve"] = "100%"
    site.write_config()
    assert build.cleanup().returncode == 0 and len(kept(site)) == 1
    done = site.call("prepare", "--id", "x", IMAGE)
    assert done.returncode != 0 and "disk_reserve" in done.stderr
    wait_until(lambda: site.traces() == [])
