"""Reports of an invented adaptation."""

from typing import Any

import pytest
from made_adaptation import adaptation, step
from made_alignment import align


@pytest.fixture
def report() -> dict[str, Any]:
    return adaptation()


@pytest.fixture
def aligned() -> dict[str, Any]:
    """The same, fine-tuned on conversations and trained on preferences, with its answers judged."""
    return align(adaptation(), step)


@pytest.fixture(scope="session")
def everything() -> dict[str, Any]:
    """The same for all tests of a session, which leave it as it is."""
    return align(adaptation(), step)
