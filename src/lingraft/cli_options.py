"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

RecipeName = Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one (lingraft ls).")]
Override = Annotated[
    list[str] | None, typer.Option("--set", "-s", help="Override one value: seed=3, pretrain.lr=1e-4. May be repeated.")
]
StoreFolder = Annotated[
    Path, typer.Option("--store", envvar="LINGRAFT_STORE", help="The folder that holds artifacts and runs.")
]
TextFiles = Annotated[
    list[Path], typer.Option("--text", help="A text file (.txt, .jsonl, .csv, .parquet, also .gz). May be repeated.")
]
DEFAULT_STORE = Path("lingraft-store")


def model_name(path: str) -> str:
    """The last part of a path or a hub id; `.` is called as its folder is."""
    name = Path(path).name
    return Path(path).resolve().name if name in ("", "..") else name
