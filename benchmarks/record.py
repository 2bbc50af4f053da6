"""Results as JSON beside the machine and the versions they were measured on."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lingraft.core import machine

RESULTS = Path(__file__).parent / "results"


def record(name: str, part: str, result: Any) -> None:
    """Put one part into `results/<name>.json`, in the place of an earlier measurement of it."""
    path = RESULTS / f"{name}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[part] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "result": result,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def most_resident_bytes() -> int:
    """Of this process alone: `ru_maxrss` would count what its parent held when it was started."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
