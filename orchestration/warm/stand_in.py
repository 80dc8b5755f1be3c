"""The file that dagster-dbt starts as dbt."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from orchestration.warm.places import FOLDER, private_folder
from orchestration.warm.wire import Unavailable

CLIENT = Path(__file__).with_name("dbt_client.py")


def stand_in(dagster_home: Path, dbt: Path) -> Path:
    """A script that runs dbt_client.py with this Python, isolated (-I) and without site-packages (-S), so that it
    starts in a few hundredths of a second. Without a template it becomes `dbt`, which is also what is returned where
    the script cannot be written."""
    try:
        path = private_folder(dagster_home / FOLDER) / "dbt"
        words = [sys.executable, "-I", "-S", str(CLIENT), str(dbt)]
        text = f'#!/bin/sh\nexec {" ".join(map(shlex.quote, words))} "$@"\n'
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            draft = path.with_suffix(".tmp")
            draft.write_text(text, encoding="utf-8")
            draft.chmod(0o700)
            draft.replace(path)
    except (OSError, Unavailable):
        return dbt
    return path


def child_variables(socket: Path, run_id: str) -> dict[str, str]:
    """What a run tells the stand-in: where its template is, and what to answer to `--version`."""
    variables = {"TRIPLINE_TEMPLATE_SOCKET": str(socket), "TRIPLINE_TEMPLATE_RUN": run_id}
    if "dbt.version" in sys.modules:
        variables["TRIPLINE_TEMPLATE_DBT_VERSION"] = str(sys.modules["dbt.version"].__version__)
    return variables
