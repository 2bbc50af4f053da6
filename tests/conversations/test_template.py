from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from lingraft.ask.message import Message
from lingraft.conversations.template import TEMPLATES, Template, named, put
from lingraft.core.errors import InputError

ASKED = [Message("user", "Co słychać?"), Message("assistant", "Wszystko dobrze.")]


@pytest.fixture
def tokenizer(tiny_base: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_base)


def test_a_model_without_a_template_is_given_one_and_one_that_has_one_keeps_it(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    assert named(tokenizer, "auto", Path())[0] == "zephyr"
    tokenizer.chat_template = "own {{ messages }}"
    assert named(tokenizer, "auto", Path()) == ("own", "own {{ messages }}")
    assert named(tokenizer, "own", Path())[0] == "own"
    assert named(tokenizer, "llama2", Path())[0] == "llama2"


def test_templates_end_answers_and_know_system_messages(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    for name in TEMPLATES:
        template = Template(tokenizer, named(tokenizer, name, Path())[1])
        assert template.takes_system
        before, piece = template.answer(ASKED, 1)
        assert "Co słychać?" in before
        assert "Wszystko" not in before
        assert piece.strip().startswith("Wszystko dobrze.")
        end = tokenizer.convert_ids_to_tokens(template.end_ids)
        assert piece.endswith(end[0])
        assert len(end) == 1


def test_a_file_is_a_template_and_its_name_is_told(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    text = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
    (tmp_path / "ours.jinja").write_text(text, encoding="utf-8")
    assert named(tokenizer, "ours.jinja", tmp_path) == ("ours.jinja", text)


def test_the_template_stands_once_in_a_folder(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("{", '{"chat_template": "old", ', 1), encoding="utf-8")
    put(tmp_path, "new {{ messages }}")
    assert "chat_template" not in config.read_text(encoding="utf-8")
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == "new {{ messages }}"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("own", r"has no chat template of its own\.\n  Set template to auto, which gives it zephyr"),
        ("chatml", r"the template chatml needs the token <\|im_start\|>, and the tokenizer has none"),
        ("zefir", r'there is no template "zefir"\.\n  Known: auto, own, zephyr, llama2, chatml'),
        ("none.jinja", r"none\.jinja: there is no such template\.\n  It is looked for beside the recipe"),
    ],
)
def test_templates_that_are_not_there(tokenizer: PreTrainedTokenizerBase, wanted: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        named(tokenizer, wanted, Path("/nowhere"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{% for m in messages %}{{ m.content }} {% endfor %}", "does not end an answer with a control token"),
        (
            "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
            "{% if add_generation_prompt %}go on:{% endif %}",
            "writes an answer otherwise than it asks for one",
        ),
        ("{{ raise_exception('roles!') }}", r"does not take this conversation: roles!\."),
    ],
)
def test_templates_that_cannot_be_learned_from(tokenizer: PreTrainedTokenizerBase, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Template(tokenizer, text)


def test_a_template_that_refuses_or_drops_system_messages_is_found_out(tokenizer: PreTrainedTokenizerBase) -> None:
    body = "{{ m.role }}: {{ m.content }}{{ eos_token }}"
    dropping = "{% for m in messages if m.role != 'system' %}" + body + "{% endfor %}"
    generation = "{% if add_generation_prompt %}assistant: {% endif %}"
    refusing = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for m in messages %}" + body + "{% endfor %}"
    )
    assert not Template(tokenizer, dropping + generation).takes_system
    assert not Template(tokenizer, refusing + generation).takes_system
