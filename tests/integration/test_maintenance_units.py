# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of systemd that keep images up to date."""

import configparser
import os
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
from lab import Lab, Site
from maintenance import copy_of, define, generations

pytestmark = pytest.mark.supervisor_matters

SOURCE = Path(__file__).resolve().parents[2]
NAME = "nspawn-runner-maintenance"
RUNTIME_UNITS = Path("/run/systemd/system")


@pytest.fixture(name="units")
def fixture_units(driver: Path) -> dict[str, Path]:
    """The units, as they are installed."""
    return {"service": driver.parent / "systemd" / f"{NAME}.service", "timer": SOURCE / "systemd" / f"{NAME}.timer"}


def parse(path: Path) -> configparser.ConfigParser:
    """A unit whose settings are there once each."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


def test_what_they_say(units: dict[str, Path]) -> None:
    """Once a day, at a time of its own on each host, and only when somebody turns it on."""
    timer, service = parse(units["timer"]), parse(units["service"])
    assert dict(timer["Timer"]) == {"OnCalendar": "daily", "RandomizedDelaySec": "6h", "Persistent": "true"}
    assert dict(timer["Install"]) == {"WantedBy": "timers.target"}
    assert "Install" not in service, "the timer starts it, and nothing else"
    assert service["Service"]["Type"] == "oneshot"
    assert service["Service"]["ExecStart"].endswith("/bin/nspawn-runner chroot-maintenance")


def test_systemd_accepts_them(units: dict[str, Path], driver: Path, tmp_path: Path) -> None:
    """systemd-analyze has nothing to say about them."""
    for path in units.values():
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace("/usr/local/bin/nspawn-runner", str(driver)), encoding="utf-8")
    (tmp_path / "network-online.target").write_text("[Unit]\nDescription=x\n", encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *(tmp_path / path.name for path in units.values())],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    ours = [line for line in done.stderr.splitlines() if NAME in line]
    assert done.returncode == 0 and not ours, done.stderr


@pytest.fixture(name="service")
def fixture_service(units: dict[str, Path], make_site: Callable[..., Site], tmp_path: Path) -> Iterator[Site]:
    """A site that the service works on, if there is a systemd to start it; else it is started here, as systemd would."""
    root = tmp_path / "images"
    root.mkdir()
    site = make_site(root=root)
    if host.has_systemd():
        RUNTIME_UNITS.mkdir(exist_ok=True)
        text = units["service"].read_text(encoding="utf-8")
        before = parse(units["service"])["Service"]["ExecStart"]
        text = text.replace(f"ExecStart={before}", "ExecStart=" + " ".join(site.argv("chroot-maintenance")))
        (RUNTIME_UNITS / f"{NAME}.service").write_text(text, encoding="utf-8")
        (RUNTIME_UNITS / f"{NAME}.timer").write_bytes(units["timer"].read_bytes())
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    yield site
    if host.has_systemd():
        subprocess.run(["systemctl", "stop", f"{NAME}.timer", f"{NAME}.service"], check=True)
        for suffix in ("service", "timer"):
            (RUNTIME_UNITS / f"{NAME}.{suffix}").unlink()
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        subprocess.run(["systemctl", "reset-failed"], check=True)
    host.remove_tree(root)


def start(site: Site) -> tuple[int, str]:
    """Status of the service, and what it said."""
    if not host.has_systemd():
        done = site.call("chroot-maintenance", env={"PATH": os.environ["PATH"]})
        return done.returncode, done.stdout + done.stderr
    status = subprocess.run(["systemctl", "start", f"{NAME}.service"], capture_output=True, check=False).returncode
    subprocess.run(["journalctl", "--sync"], check=False, capture_output=True)
    return status, subprocess.run(["journalctl", "--no-pager", "-o", "cat", "-u", NAME], check=True,
                                  capture_output=True, text=True).stdout


def test_service(service: Site, lab: Lab) -> None:
    """It makes what is defined, in nearly no environment, and fails when an image fails."""
    define(service, "good", command=copy_of(lab.tiny_image()))
    status, text = start(service)
    assert status == 0 and "Image 'good' is ready" in text, text
    define(service, "bad", command="exit 7")
    status, text = start(service)
    assert status != 0 and "exit status 7" in text and "unchanged" in text, text
    assert sorted(generations(service)) == ["good"]


def test_timer(service: Site, units: dict[str, Path]) -> None:
    """It has a time for the service."""
    if not host.has_systemd():
        when = parse(units["timer"])["Timer"]["OnCalendar"]
        done = subprocess.run(["systemd-analyze", "calendar", when], capture_output=True, text=True, check=True)
        assert "Next elapse" in done.stdout
        return
    subprocess.run(["systemctl", "start", f"{NAME}.timer"], check=True)
    shown = subprocess.run(["systemctl", "list-timers", "--no-pager", f"{NAME}.timer"], check=True, capture_output=True,
                           text=True).stdout
    assert f"{NAME}.service" in shown
    assert not service.jobs()
