import json
import math
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from tuning_for_tests import DPO, preferences

from lingraft.ask.message import Message
from lingraft.conversations.record import Preference, Verdict
from lingraft.conversations.template import FOLDER, Template
from lingraft.core.errors import InputError, StageError
from lingraft.train import pairs
from lingraft.train.dpo import dpo
from lingraft.train.margins import Margins, compared, length_bias
from lingraft.train.pairs import Judged, Pair
from lingraft.train.preference_trainers import LOSSES
from lingraft.train.settings import Lora

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from transformers import TrainerCallback
from lingraft.train import course
from tuning_for_tests import DPO
from lingraft.train.dpo import dpo
from dataclasses import replace

class Kill(TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        if state.global_step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

own = course.Course.callbacks
course.Course.callbacks = lambda self, *given: [*own(self, *given), Kill()]
dpo(*map(Path, sys.argv[1:4]), replace(DPO, checkpoint_minutes=0))
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, preferred: Path) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("dpo")
    return folder, dpo(tiny_base, preferred, folder, DPO)


def template(folder: Path) -> Template:
    return Template(AutoTokenizer.from_pretrained(folder), (FOLDER / "zephyr.jinja").read_text(encoding="utf-8"))


def logprob(model: torch.nn.Module, prompt: Sequence[int], answer: Sequence[int]) -> float:
    """Of an answer after its prompt, token by token."""
    with torch.no_grad():
        logprobs = model(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(dim=-1)
    return sum(logprobs[len(prompt) + place - 1, token].item() for place, token in enumerate(answer))


def test_held_out_pairs_are_told_apart_afterwards(trained: tuple[Path, dict]) -> None:
    _, figures = trained
    target = figures["held_out"]["target"]
    assert target["accuracy"]["before"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert target["accuracy"]["after"]["value"] > 0.8
    assert target["margin"]["difference"]["low"] > 0
    assert figures["streams"]["target"]["share"] == pytest.approx(0.75, abs=0.05)
    assert 0 < figures["streams"]["target"]["chosen_longer"] < 1
    assert {"accuracy", "margin", "chosen", "rejected", "loss", "lr"} <= set(figures["curve"][0])
    assert figures["curve"][0]["loss"] == pytest.approx(math.log(2), rel=1e-5)
    assert [set(point["accuracy"]) for point in figures["held_out_curve"]] == [{"target", "replay"}] * 3
    assert figures["proof"]["did_not_move"] == []


def test_margins_are_those_of_two_models_token_by_token(
    trained: tuple[Path, dict], tiny_base: Path, polish: list[str]
) -> None:
    folder, figures = trained
    held_out = pairs.stream(preferences(polish, 20)[-6:], template(tiny_base), 128, "refuse").pairs
    policy, reference = (AutoModelForCausalLM.from_pretrained(path).eval() for path in (folder, tiny_base))
    slow = [
        sum(
            sign * (logprob(policy, pair.prompt, answer) - logprob(reference, pair.prompt, answer))
            for sign, answer in ((1, pair.chosen), (-1, pair.rejected))
        )
        for pair in held_out
    ]
    assert figures["held_out"]["target"]["margin"]["after"]["value"] == pytest.approx(0.1 * np.mean(slow), rel=1e-3)
    fast = pairs.Reference(policy, 400, 2, autocast=False).of_pairs(held_out)
    assert fast[0, 0] == pytest.approx(logprob(policy, held_out[0].prompt, held_out[0].chosen), rel=1e-5)


def test_the_chosen_and_rejected_tokens_are_the_answers_with_their_end(tiny_base: Path, polish: list[str]) -> None:
    given = template(tiny_base)
    (found,) = pairs.stream(preferences(polish, 1), given, 128, "refuse").pairs
    wanted = preferences(polish, 1)[0]
    assert given.tokenizer.decode(found.chosen) == f"{wanted.chosen}<|eos|>"
    assert given.tokenizer.decode(found.rejected) == f"{wanted.rejected}<|eos|>"
    assert given.tokenizer.decode(found.prompt).endswith("?<|eos|>\n<|assistant|>\n")
    earlier = (Message("user", "A?"), Message("assistant", "B."), Message("user", "C?"))
    (later,) = pairs.stream([Preference("x", earlier, "D.", "E.")], given, 128, "refuse").pairs
    assert given.tokenizer.decode(later.chosen) == "D.<|eos|>"
    assert "B.<|eos|>" in given.tokenizer.decode(later.prompt)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_prefers_what_is_chosen(tmp_path: Path, tiny_base: Path, preferred: Path, loss: str) -> None:
    figures = dpo(tiny_base, preferred, tmp_path, replace(DPO, loss=loss, epochs=2))
    assert figures["loss"] == loss
    assert figures["held_out"]["target"]["margin"]["difference"]["value"] > 0
    assert figures["proof"]["moved"] > 0
    assert LOSSES[loss].source


@pytest.mark.parametrize("loss", ["ipo", "kto", "orpo", "simpo"])
def test_the_first_loss_is_that_of_the_paper(
    tmp_path: Path,
    trained: tuple[Path, dict],
    tmp_path_factory: pytest.TempPathFactory,
    polish: list[str],
    loss: str,
) -> None:
    """One batch of a model that is not even-handed, written down from each paper's equation."""
    begun = trained[0]
    folder = tmp_path_factory.mktemp("one_batch")
    made = preferences(polish, 4)
    (folder / "target.jsonl").write_text("".join(json.dumps(one.as_json()) + "\n" for one in made), encoding="utf-8")
    size = 8 if loss == "kto" else 4
    settings = replace(DPO, loss=loss, mix={"target": 1.0}, epochs=1, batch_pairs=size, beta=0.5)
    figures = dpo(begun, folder, tmp_path, settings)
    model = AutoModelForCausalLM.from_pretrained(begun).eval()
    wanted = []
    for pair in pairs.stream(made, template(begun), 128, "refuse").pairs:
        chosen, rejected = (logprob(model, pair.prompt, answer) for answer in (pair.chosen, pair.rejected))
        mean_chosen, mean_rejected = chosen / len(pair.chosen), rejected / len(pair.rejected)
        odds = (mean_chosen - mean_rejected) - (
            math.log1p(-math.exp(mean_chosen)) - math.log1p(-math.exp(mean_rejected))
        )
        wanted.append(
            {
                "ipo": (0 - 1 / (2 * 0.5)) ** 2,
                "kto": 1 - 1 / (1 + math.exp(0)),
                "simpo": math.log1p(math.exp(-(0.5 * (mean_chosen - mean_rejected) - 0.5))),
                "orpo": 0.5 * math.log1p(math.exp(-odds)),
            }[loss]
        )
    expected = float(np.mean(wanted))
    if loss == "orpo":  # it adds the loss of the chosen answers, a mean over all their tokens
        found = pairs.stream(made, template(begun), 128, "refuse").pairs
        total = -sum(logprob(model, pair.prompt, pair.chosen) for pair in found)
        expected += total / sum(len(pair.chosen) for pair in found)
    assert figures["steps"] == 1
    assert figures["curve"][0]["loss"] == pytest.approx(expected, rel=2e-3)


def test_adapters_can_move_instead(tmp_path: Path, tiny_base: Path, preferred: Path) -> None:
    settings = replace(DPO, train="lora", lora=Lora(rank=8, tables="frozen"), lr=1e-2, epochs=2)
    figures = dpo(tiny_base, preferred, tmp_path, settings)
    assert figures["held_out"]["target"]["margin"]["difference"]["value"] > 0
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_base, tmp_path))
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])


@pytest.mark.parametrize("loss", ["dpo", "orpo"])
def test_a_mixture_of_experts_can_prefer_too(tmp_path: Path, mixture: Path, preferred: Path, loss: str) -> None:
    figures = dpo(mixture, preferred, tmp_path, replace(DPO, loss=loss, mix={"target": 1.0}, epochs=2))
    assert figures["held_out"]["target"]["margin"]["difference"]["value"] > 0


def test_adapters_on_a_base_in_four_bits(tmp_path: Path, tiny_base: Path, preferred: Path) -> None:
    lora = Lora(rank=8, tables="frozen")
    settings = replace(DPO, train="qlora", lora=lora, precision="bf16", lr=1e-2, epochs=2)
    figures = dpo(tiny_base, preferred, tmp_path, settings)
    assert figures["held_out"]["target"]["margin"]["difference"]["value"] > 0
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.float32}


def test_a_killed_training_goes_on_and_ends_with_the_same_bits(
    tmp_path: Path, tiny_base: Path, preferred: Path, trained: tuple[Path, dict]
) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", KILLED, str(tiny_base), str(preferred), str(tmp_path), *paths]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    with pytest.raises(StageError, match="belongs to another training, different in beta"):
        dpo(tiny_base, preferred, tmp_path, replace(DPO, beta=0.2))
    figures = dpo(tiny_base, preferred, tmp_path, DPO)
    whole, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path, trained[0]))
    assert all(torch.equal(whole[name], expected[name]) for name in expected)
    assert figures["held_out"] == trained[1]["held_out"]


def test_single_verdicts_are_for_kto_alone(tmp_path: Path, tiny_base: Path, polish: list[str]) -> None:
    rows = [Verdict(str(n), (Message("user", f"{n}?"),), polish[n], n % 2 == 0) for n in range(8)]
    (tmp_path / "target.jsonl").write_text("".join(json.dumps(row.as_json()) + "\n" for row in rows), encoding="utf-8")
    settings = replace(DPO, mix={"target": 1.0}, epochs=1)
    told = r"8 target records are single answers that were found good or bad; dpo compares two(.|\n)*Set loss to kto"
    with pytest.raises(InputError, match=told):
        dpo(tiny_base, tmp_path, tmp_path / "out", settings)
    (tmp_path / "out").mkdir()
    figures = dpo(tiny_base, tmp_path, tmp_path / "out", replace(settings, loss="kto"))
    assert figures["streams"]["target"]["judged"] == 8


def test_preferences_that_do_not_fit(tmp_path: Path, tiny_base: Path) -> None:
    row = Preference("x", (Message("user", "a" * 300),), "b", "c")
    (tmp_path / "target.jsonl").write_text(json.dumps(row.as_json()) + "\n", encoding="utf-8")
    told = "asks for 100% of target, and there are no target preferences to train on: 1 longer than the context"
    with pytest.raises(InputError, match=told):
        dpo(tiny_base, tmp_path, tmp_path / "out", replace(DPO, mix={"target": 1.0}))


def test_a_batch_of_whole_micro_batches(tmp_path: Path, tiny_base: Path, preferred: Path) -> None:
    told = r"a batch of 4 pairs is not made of whole micro-batches: 3 pairs(.|\n)*Set batch_pairs to a multiple of 3"
    with pytest.raises(InputError, match=told):
        dpo(tiny_base, preferred, tmp_path, replace(DPO, micro_batch_sequences=3))


def test_kto_needs_two_answers_at_once(tmp_path: Path, tiny_base: Path, preferred: Path) -> None:
    told = "kto compares the answers that a process has in memory at once, and there is one alone"
    with pytest.raises(InputError, match=told):
        dpo(tiny_base, preferred, tmp_path, replace(DPO, loss="kto", micro_batch_sequences=1))


def test_another_prompts_answer_is_cut_to_what_fits() -> None:
    rows = [Judged([1] * 6, [2] * 2, True, 2), Judged([3], [4] * 7, False, 7)]
    assert pairs.table(rows, [0, 1], 2, 8, None)["KL_completion_ids"] == [[4, 4], [2, 2]]


def test_a_model_that_goes_by_length_is_found_out() -> None:
    made = [Pair([1], [2], [3], 10 + 5 * (number % 2), 12) for number in range(40)]
    gaps = np.array([pair.chosen_bytes - pair.rejected_bytes for pair in made], dtype=float)
    policy = np.stack([gaps, np.zeros(40)], axis=1)
    by_length = Margins(made, policy, np.zeros((40, 2)), 0.1)
    found = length_bias(by_length, seed=1)
    assert found["longer_preferred"]["value"] == 1
    assert found["accuracy_chosen_longer"]["value"] == 1
    assert found["accuracy_chosen_shorter"]["value"] == 0
    assert found["chosen_longer"] == 0.5
    even = Margins(made, np.zeros((40, 2)), np.zeros((40, 2)), 0.1)
    assert compared(even, by_length, seed=1)["accuracy"]["after"]["value"] == 0.5
    assert length_bias(Margins(made[1::2], policy[1::2], np.zeros((20, 2)), 0.1), 1)["accuracy_chosen_shorter"] is None
