import shutil
from pathlib import Path

import pytest
from loopback import endpoint

from lingraft.ask.message import USER, Message
from lingraft.ask.respondent import Reply
from lingraft.ask.respondents import respondent, tokens_of
from lingraft.core.asked import EndpointSettings, LocalSettings
from lingraft.core.errors import InputError


def test_an_endpoint_of_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret")
    with endpoint(lambda handler, *_: handler.say("yes")) as server:
        settings = EndpointSettings(
            endpoint=server.address, model="tiny", key_variable="TEST_KEY", temperature=0, price_in=2, price_out=8
        )
        model = respondent(settings, tmp_path)
        assert model.reply([(Message(USER, "Yes?"),)]) == [Reply("yes", None, (7, 3))]
    assert server.seen[0]["temperature"] == 0
    assert "sk-secret" not in settings.model_dump_json()
    assert settings.cost(1e6, 5e5) == 6
    assert EndpointSettings(endpoint=server.address, model="tiny").cost(1e6, 5e5) is None


def test_a_model_of_a_recipe(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "chatty")
    with pytest.raises(InputError, match="has no chat template"):
        respondent(LocalSettings(model="chatty"), tmp_path)
    (tmp_path / "chatty" / "chat_template.jinja").write_text("{{ messages[0].content }}")
    settings = LocalSettings(model="chatty", max_tokens=2)
    assert respondent(settings, tmp_path).name == "chatty"
    assert respondent(LocalSettings(model="./chatty"), tmp_path).name == "./chatty"
    assert settings.cost(1, 1) is None


def test_tokens_are_summed() -> None:
    assert tokens_of([Reply("a", None, (1, 2)), Reply("b"), Reply("", "cut", (3, 4))]) == (4, 6)
