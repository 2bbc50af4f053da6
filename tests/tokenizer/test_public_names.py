import subprocess
import sys

import pytest

from lingraft import graft, tokenizer


def test_public_names_are_functions() -> None:
    for package, count in ((tokenizer, 8), (graft, 1)):
        names = [name for name in package.__all__ if name.islower()]
        assert len(names) == count
        assert all(callable(getattr(package, name)) for name in names * 2)
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = package.nothing


def test_the_packages_themselves_load_nothing_heavy() -> None:
    code = "import sys, lingraft.tokenizer, lingraft.graft; print({'torch', 'transformers'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
