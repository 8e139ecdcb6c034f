# SPDX-License-Identifier: GPL-3.0-or-later
"""What `meson install` puts where, and that it works wherever the tree is then. The Debian package has a test of its own,
tools/lib/check-package."""

import subprocess
from pathlib import Path

import pytest

from lab import IMAGE, Site
from simulation.jobspec import Job

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
    for name in (*(f"share/{name}" for name in SHARE), "lib/systemd/system/nspawn-runner-maintenance.timer"):
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
