# SPDX-License-Identifier: GPL-3.0-or-later
"""What `meson install` puts where, and that it works wherever the tree is then. The Debian package has a test of its own,
tools/lib/check-package."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import host
from lab import IMAGE, Site
from simulation.jobspec import Job

SOURCE = Path(__file__).resolve().parents[2]
SHARE = (
    "bash-completion/completions/nspawn-runner",
    "fish/vendor_completions.d/nspawn-runner.fish",
    "zsh/vendor-completions/_nspawn-runner",
    "doc/nspawn-runner/LICENSE",
    "doc/nspawn-runner/NEWS.md",
    "doc/nspawn-runner/README.md",
    "doc/nspawn-runner/docs/operations.md",
    "doc/nspawn-runner/examples/nspawn-runner.yaml",
    "doc/nspawn-runner/examples/postgres.yaml",
    "man/man1/nspawn-runner.1",
    "man/man5/nspawn-runner.yaml.5",
)
PARTS = ("nspawn-runner-agent", "nspawn-runner-userns.so")


def test_moved_tree(make_site, tiny_root: Path, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed below DESTDIR and then moved, it has all its parts, and jobs run with those."""
    subprocess.run(["meson", "install", "-C", driver.parent, "--no-rebuild", "--quiet", "--destdir", tmp_path / "dest"],
                   check=True, stdin=subprocess.DEVNULL)
    installed = tmp_path / "dest/usr/local"
    for name in (*(f"share/{name}" for name in SHARE), "lib/systemd/system/nspawn-runner-maintenance.timer",
                 "lib/systemd/system/nspawn-runner-metrics.socket", "lib/systemd/system/nspawn-runner-metrics@.service"):
        assert (installed / name).stat().st_size > 0, name

    moved = tmp_path / "elsewhere"
    installed.rename(moved)
    site: Site = make_site(root=tiny_root, boot=False)
    with monkeypatch.context() as patch:
        patch.setattr(site.lab, "driver", moved / "bin/nspawn-runner")
        doctor = site.call("doctor").stdout
        for part in PARTS:
            assert f"ok       {part}: {moved}/libexec/nspawn-runner/{part}\n" in doctor, doctor
        result = site.run(Job(["echo fine"], image=IMAGE))
    assert result.state == "success" and "fine" in result.log, result.log

    # Without its tree it has nothing but what is where the build was told to install it.
    (moved / "libexec").rename(moved / "other")
    done = subprocess.run([moved / "bin/nspawn-runner", *site.argv("doctor")[1:]], capture_output=True, text=True,
                          check=False)
    assert str(moved) not in "".join(line for line in done.stdout.splitlines() if line[9:].startswith(PARTS)), done.stdout


def other_version(source: Path, target: Path, version: int) -> None:
    """A program or agent that speaks another version of the messages between the two, in place of another one."""
    (magic,) = re.findall(r"WIRE_MAGIC UINT32_C\((0x\w+)\)", host.read(str(SOURCE / "src/wire/wire.c")))
    old, new = ((int(magic, 16) + add).to_bytes(4, "little") for add in (0, version))
    data = source.read_bytes()
    assert old in data
    (target.parent / "new").write_bytes(data.replace(old, new))
    (target.parent / "new").chmod(0o755)
    (target.parent / "new").rename(target)


def test_upgrade_under_a_job(make_site, tiny_root: Path, driver: Path, tmp_path: Path,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    """A job goes on with the program that started it, though the new one could not talk to its agent."""
    site: Site = make_site(root=tiny_root, boot=False)
    for name in ("nspawn-runner", *PARTS):
        shutil.copy2(driver.parent / name, tmp_path)
    script = tmp_path / "script"
    script.write_text("echo kept; exit 7")
    with monkeypatch.context() as patch:
        patch.setattr(site.lab, "driver", tmp_path / "nspawn-runner")
        assert site.call("prepare", IMAGE, "--id", "1").returncode == 0
        for name in ("nspawn-runner", "nspawn-runner-agent"):
            other_version(driver.parent / name, tmp_path / name, 100)
        for _ in range(2):
            done = site.call("run", "--id", "1", str(script), env={"BUILD_FAILURE_EXIT_CODE": "3"})
            assert (done.returncode, done.stdout) == (3, "kept\n"), str(done)
        # The next job has the new agent: neither program could talk to that of the other.
        assert site.call("prepare", IMAGE, "--id", "2").returncode == 0
        assert site.call("run", "--id", "2", str(script)).stdout == "kept\n"
        other_version(driver.parent / "nspawn-runner", tmp_path / "nspawn-runner", 0)
        assert site.call("run", "--id", "2", str(script)).stdout == "kept\n"
        (site.runtime_dir / "jobs/2/program").unlink()
        assert site.call("run", "--id", "2", str(script)).stdout == "", "they are different"
        for job in ("1", "2"):
            done = site.call("cleanup", "--id", job)
            assert done.returncode == 0, str(done)
        # Nobody executes it any more.
        assert "not running" in site.call("run", "--id", "2", str(script)).stderr
