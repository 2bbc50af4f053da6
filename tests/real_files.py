"""Tokenizers of real models and real texts, which no clone has: `shared` beside it, or what LINGRAFT_SHARED names."""

import os
from pathlib import Path

import pytest

REAL = Path(os.environ.get("LINGRAFT_SHARED") or Path(__file__).parents[2] / "shared")
NOT_HERE = "the real tokenizers and texts are not on this machine"
needs_real_files = pytest.mark.skipif(not REAL.exists(), reason=NOT_HERE)
