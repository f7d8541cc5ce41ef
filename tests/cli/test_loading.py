"""Ctrl-C while the command is still loading: a word and the exit code 130; other programs are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nngames

ROOT = Path(nngames.__file__).parent.parent
#: Interrupts the process when it comes to import a module.
HOOK = """\
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


def interrupted(tmp_path: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(name=name))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["numpy", "nngames.solvers.automatic.auto", "typer", "nngames.scenario"])
def test_the_command_says_interrupted(tmp_path, name):
    done = interrupted(tmp_path, name, "-m", "nngames", "validate", "gallery:two_projections")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_another_program_gets_its_exception(tmp_path):
    done = interrupted(tmp_path, "nngames.solvers.automatic.auto", "-c", "import nngames")
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
