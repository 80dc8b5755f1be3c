"""The template of the project's own definitions, loaded while Dagster starts, so that the first run is warm too."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from orchestration.settings import Settings
from orchestration.warm.places import Spec, is_wanted
from orchestration.warm.reaching import Templates
from orchestration.warm.wire import Unavailable

MODULE, ATTRIBUTE = "orchestration.definitions", "defs"
START_SECONDS = 180.0  # nobody waits for it here, and Dagster starts meanwhile


@contextmanager
def warmed(settings: Settings, environment: Mapping[str, str], output: IO[bytes] | None = None) -> Iterator[None]:
    """Begins to load at once and waits for nothing; at the end the template ends too, with its runs.

    `environment`: that of the Dagster which is to use it, in the current folder, on the dagster.yaml of `settings`.
    `output`: where the template and its runs write, by default where this process does.
    """
    if not is_wanted(settings):
        yield
        return
    templates = Templates(settings.dagster_path, START_SECONDS, output)
    threading.Thread(target=_load, args=(templates, settings, environment), daemon=True).start()
    try:
        yield
    finally:
        templates.dismiss()


def _load(templates: Templates, settings: Settings, environment: Mapping[str, str]) -> None:
    spec = spec_of_definitions(settings)
    if spec is None:
        return
    try:
        templates.reach(spec, environment)
    except Unavailable:
        # The first run tries again, and its log says why it cannot be warm.
        return


def spec_of_definitions(settings: Settings) -> Spec | None:
    """What the launcher will ask for when Dagster has loaded the definitions as a module, from this folder and with
    this Python; None where the dagster.yaml has another launcher."""
    from dagster._core.code_pointer import CodePointer
    from dagster._core.instance import InstanceRef

    from orchestration.warm.launcher import WarmRunLauncher

    instance_ref = InstanceRef.from_dir(str(settings.dagster_path))
    launcher = instance_ref.run_launcher
    if not isinstance(launcher, WarmRunLauncher):
        return None
    pointer = CodePointer.from_module(MODULE, ATTRIBUTE, os.getcwd())  # noqa: PTH109  (as Dagster writes it)
    return launcher.spec(pointer, sys.executable, MODULE, instance_ref)
