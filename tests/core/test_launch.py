import pytest

from lingraft.core import launch
from lingraft.core.errors import InputError


@pytest.fixture(autouse=True)
def _launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("FSDP_VERSION", "2")
    for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "FSDP_OFFLOAD_PARAMS", launch.SHARD):
        monkeypatch.setenv(name, "false")


def test_whole_copies_by_default() -> None:
    assert launch.num_processes() == 2
    assert not launch.sharded()


def test_sharding_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    launch.shard()
    assert launch.sharded()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launch.sharded()


def test_what_accelerate_asks_for_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert launch.sharded()
    assert launch.os.environ["ACCELERATE_USE_FSDP"] == "false"
    assert launch.sharded()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, r"asks for FSDP1, (.|\n)*--fsdp_version 2"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_OFFLOAD_PARAMS": "true"}, "asks to keep the weights in the processor's"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, r"asks for DeepSpeed(.|\n)*FSDP2 saves the same memory"),
    ],
)
def test_what_is_refused(values: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=told):
        launch.sharded()
