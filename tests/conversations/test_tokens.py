"""What counts in the loss, token by token: in templates of real models, with their tokenizers where these are here."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trl
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from trl.chat_template_utils import get_training_chat_template

from lingraft.ask.message import ASSISTANT, Message
from lingraft.conversations.template import Template, named
from lingraft.conversations.tokens import LeftOut, Tokenized, tokenize
from lingraft.core.errors import InputError
from real_files import NOT_HERE, REAL

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + '[/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported') }}{% endif %}{% endfor %}"
)
"""The form of Mistral's instruct models, which have no place for a system message."""
SPOKEN = [
    Message("system", "Bądź zwięzły."),
    Message("user", "Cześć! Ile to 2+2?"),
    Message("assistant", "To jest 4 😀."),
    Message("user", "A 3+3?"),
    Message("assistant", "Sześć — 6.\n\nKoniec"),
]


Load = Callable[..., PreTrainedTokenizerBase]
"""A tokenizer by the name of a model, its beginning and end of a sequence, and its other control tokens."""


@pytest.fixture(params=["small", "real"])
def load(request: pytest.FixtureRequest, tiny_base: Path) -> Load:
    """A small tokenizer that has a real one's control tokens, and the real one itself."""
    if request.param == "real" and not REAL.exists():
        pytest.skip(NOT_HERE)

    def loaded(name: str, bos: str | None, eos: str, *control: str) -> PreTrainedTokenizerBase:
        folder = REAL / "tokenizers" / name if request.param == "real" else tiny_base
        file = str(folder / "tokenizer.json")
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, bos_token=bos, eos_token=eos)
        tokenizer.add_special_tokens({"additional_special_tokens": list(control)})
        return tokenizer

    return loaded


def llama3(load: Load) -> PreTrainedTokenizerBase:
    marks = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    return load("llama3", "<|begin_of_text|>", "<|end_of_text|>", *marks)


def qwen(load: Load) -> PreTrainedTokenizerBase:
    return load("qwen", None, "<|im_end|>", "<|im_start|>")


def spoken(template: Template, sequence: Tokenized) -> str:
    """What the tokens that count decode to."""
    return template.tokenizer.decode([sequence.ids[place] for place in sequence.answer_places])


def unspoken(template: Template, sequence: Tokenized) -> str:
    counted = set(sequence.answer_places)
    return template.tokenizer.decode([token for place, token in enumerate(sequence.ids) if place not in counted])


def found(template: Template, system: str = "into_user") -> list[Tokenized]:
    answer = tokenize(template, SPOKEN, most_tokens=1000, system=system)
    assert not isinstance(answer, LeftOut)
    return answer[0]


@pytest.mark.parametrize(
    ("name", "end"), [("llama2", "</s>"), ("llama3", "<|eot_id|>"), ("mistral", "</s>"), ("qwen", "<|im_end|>")]
)
def test_in_real_templates_each_answer_with_its_end_counts_and_nothing_else(name: str, end: str, load: Load) -> None:
    tokenizer = {
        "llama2": lambda: load("llama2", "<s>", "</s>"),
        "llama3": lambda: llama3(load),
        "mistral": lambda: load("mistral_v3", "<s>", "</s>"),
        "qwen": lambda: qwen(load),
    }[name]()
    text = {
        "llama2": named(tokenizer, "llama2", Path())[1],
        "llama3": (TEMPLATES / "llama3.jinja").read_text(encoding="utf-8"),
        "mistral": MISTRAL,
        "qwen": (TEMPLATES / "qwen2_5.jinja").read_text(encoding="utf-8"),
    }[name]
    template = Template(tokenizer, text)
    (sequence,) = found(template)
    answers = [message.content for message in SPOKEN if message.role == ASSISTANT]
    ends = spoken(template, sequence).split(end)
    assert [part.strip() for part in ends] == [*answers, ""]
    rest = unspoken(template, sequence)
    assert not any(answer in rest for answer in answers)
    assert all(message.content in rest for message in SPOKEN if message.role != ASSISTANT)
    assert tokenizer.decode(sequence.ids[-1]) == end
    assert sequence.answer_bytes == sum(len(answer.encode()) for answer in answers)
    # One by one: a token counts where its text stands in an answer, by a slow search of its own.
    assert list(sequence.answer_places) == by_counting_letters(template)


def by_counting_letters(template: Template) -> list[int]:
    """The places of the answers' tokens, from lengths of the text of ever longer beginnings of the conversation."""
    messages = found_messages(template)
    spans = []
    for turn, message in enumerate(messages):
        if message.role == ASSISTANT:
            before = len(template.render(messages[:turn], prompt=True))
            after = template.render(messages[: turn + 1])
            end = after.index(message.content, before) + len(message.content)
            ends = template.tokenizer.decode(template.end_ids)
            spans.append(range(before, after.index(ends, end) + len(ends)))
    whole = template.render(messages)[: spans[-1].stop]
    offsets = template.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [
        place
        for place, (start, stop) in enumerate(offsets)
        if any(letter in span for span in spans for letter in range(start, stop))
    ]


def found_messages(template: Template) -> list[Message]:
    if template.takes_system:
        return SPOKEN
    return [Message("user", f"{SPOKEN[0].content}\n\n{SPOKEN[1].content}"), *SPOKEN[2:]]


@pytest.mark.parametrize("name", ["llama3", "qwen2_5"])
def test_the_same_tokens_count_as_by_the_marks_of_trl_but_for_line_ends_that_are_no_answer(
    name: str, load: Load
) -> None:
    tokenizer = llama3(load) if name == "llama3" else qwen(load)
    tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    theirs = tokenizer.apply_chat_template(
        [message.as_json() for message in SPOKEN],
        chat_template=get_training_chat_template(tokenizer),
        return_assistant_tokens_mask=True,
        return_dict=True,
    )
    (ours,) = found(Template(tokenizer, tokenizer.chat_template))
    assert list(ours.ids) == theirs["input_ids"][: len(ours.ids)]
    marked = [place for place, counts in enumerate(theirs["assistant_masks"]) if counts]
    assert set(ours.answer_places) <= set(marked)
    more = {tokenizer.decode(theirs["input_ids"][place]) for place in set(marked) - set(ours.answer_places)}
    # TRL's marks for Qwen take in the line end before an answer, which is given, and the one after its end.
    assert more == ({"\n"} if name == "qwen2_5" else set())


def test_a_template_that_rewrites_earlier_answers_makes_a_sequence_of_each(load: Load) -> None:
    """Qwen3 drops what was thought in earlier turns: one sequence would train on what is never read."""
    template = Template(qwen(load), (TEMPLATES / "qwen3.jinja").read_text(encoding="utf-8"))
    first, second = found(template)
    assert spoken(template, first).endswith("To jest 4 😀.<|im_end|>")
    assert spoken(template, second).endswith("Sześć — 6.\n\nKoniec<|im_end|>")
    assert "<think>" not in unspoken(template, second)


@pytest.fixture
def template(tiny_base: Path) -> Template:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    return Template(tokenizer, named(tokenizer, "zephyr", Path())[1])


def test_with_a_given_template_too_only_answers_count(template: Template) -> None:
    (sequence,) = found(template)
    assert spoken(template, sequence) == "To jest 4 😀.<|eos|>Sześć — 6.\n\nKoniec<|eos|>"
    assert list(sequence.answer_places) == by_counting_letters(template)
    assert sequence.ids[0] == template.tokenizer.bos_token_id


def test_a_long_conversation_loses_exchanges_at_its_end_and_never_part_of_an_answer(template: Template) -> None:
    whole = found(template)[0]
    shorter = tokenize(template, SPOKEN, most_tokens=len(whole.ids) - 1)
    assert not isinstance(shorter, LeftOut)
    (sequence,), dropped = shorter
    assert dropped == 1
    assert spoken(template, sequence) == "To jest 4 😀.<|eos|>"
    assert tokenize(template, SPOKEN, most_tokens=20) == LeftOut("longer than the context")


def test_a_control_token_that_stands_in_a_message_is_not_trained_on(template: Template) -> None:
    messages = [Message("user", "Co znaczy <|eos|>?"), Message("assistant", "Koniec.")]
    assert tokenize(template, messages, most_tokens=500) == LeftOut("has control tokens of the tokenizer in its text")


def test_a_system_message_that_the_template_drops(tiny_base: Path) -> None:
    template = Template(AutoTokenizer.from_pretrained(tiny_base), MISTRAL)
    with pytest.raises(InputError, match=r"drops system messages(.|\n)*Set system to into_user, to leave_out, or"):
        tokenize(template, SPOKEN, most_tokens=500)
    assert tokenize(template, SPOKEN, most_tokens=500, system="leave_out") == LeftOut(
        "has a system message, which the template drops"
    )
    (sequence,) = found(template)
    assert "Bądź zwięzły.\n\nCześć! Ile to 2+2?" in unspoken(template, sequence)


def test_a_conversation_that_the_template_rewrites_is_left_out_alone(tiny_base: Path) -> None:
    text = (
        "{% for m in messages %}{{ '<' + m.role + '>' + m.content.replace('!', '') + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    template = Template(AutoTokenizer.from_pretrained(tiny_base), text)
    rewritten = [Message("user", "Co?"), Message("assistant", "Nic! Nic.")]
    told = LeftOut("is written otherwise by the template than it is")
    assert tokenize(template, rewritten, most_tokens=100) == told


def test_a_prompt_is_tokenized_as_it_is_in_use(tiny_base: Path) -> None:
    """Where the prompt's end would be one token with the answer's beginning, a model would not know what it sees."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    merged = next(
        token
        for token in (tokenizer.decode([place]) for place in range(259, 400))
        if len(token) == 2 and token.isalpha() and tokenizer.tokenize(token) == [token]
    )
    text = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content + '#' + FIRST }}"
        "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
    ).replace("FIRST", repr(merged[0]))
    template = Template(tokenizer, text)
    answer = merged[1] + " tak"
    found = tokenize(template, [Message("user", "Co?"), Message("assistant", answer)], most_tokens=100)
    assert not isinstance(found, LeftOut)
    (sequence,), _ = found
    before = tokenizer(f"Co?#{merged[0]}", add_special_tokens=False)["input_ids"]
    assert list(sequence.ids[: len(before)]) == before
    assert list(sequence.answer_places) == list(range(len(before), len(sequence.ids)))
    assert tokenizer.decode(sequence.ids[len(before) :]) == f"{answer}<|eos|>"


def test_a_template_that_writes_the_date_writes_the_same_one_tomorrow(tiny_base: Path) -> None:
    text = (
        "{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{{ '<' + m.role + '>' + m.content + eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    assert Template(AutoTokenizer.from_pretrained(tiny_base), text).render(SPOKEN).startswith("2024-07-26")
