import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from tuning_for_tests import SFT, conversations

from lingraft.conversations.template import FOLDER, Template
from lingraft.core.errors import InputError, StageError
from lingraft.train import answers
from lingraft.train.settings import Lora
from lingraft.train.sft import sft

RESUMED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from transformers import TrainerCallback
from lingraft.train import callbacks, course
from tuning_for_tests import SFT
from lingraft.train.sft import sft
from dataclasses import replace

class Kill(TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        if state.global_step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

own = course.Course.callbacks
course.Course.callbacks = lambda self, *given: [*own(self, *given), Kill()]
sft(*map(Path, sys.argv[1:4]), replace(SFT, checkpoint_minutes=0))
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, said: Path) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("sft")
    return folder, sft(tiny_base, said, folder, SFT)


def test_held_out_answers_cost_less_and_everything_that_should_has_moved(trained: tuple[Path, dict]) -> None:
    _, figures = trained
    for stream in ("target", "replay"):
        assert figures["held_out"][stream]["difference"]["high"] < 0
        assert figures["streams"][stream]["share"] == pytest.approx(0.5, abs=0.1)
    assert figures["streams"]["target"]["epochs"] >= 4
    assert figures["proof"]["did_not_move"] == []
    assert figures["steps"] == len(figures["curve"])
    assert [set(point["bits_per_byte"]) for point in figures["held_out_curve"]] == [{"target", "replay"}] * 3
    assert figures["held_out"]["target"]["before"]["value"] == pytest.approx(
        figures["held_out_curve"][0]["bits_per_byte"]["target"], rel=1e-5
    )


def test_the_folder_is_a_model_that_answers_in_its_template_and_stops(trained: tuple[Path, dict]) -> None:
    folder, figures = trained
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert figures["template"]["name"] == "zephyr"
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Co?"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|bos|><|user|>\nCo?<|eos|>\n<|assistant|>\n"
    assert GenerationConfig.from_pretrained(folder).eos_token_id == 1
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.use_cache
    again = AutoTokenizer.from_pretrained(folder)
    assert again.chat_template == tokenizer.chat_template


def test_the_loss_of_a_step_is_that_of_the_answers_alone(
    tmp_path: Path, tiny_base: Path, said: Path, polish: list[str]
) -> None:
    """The first step's loss against the mean over answer tokens of the untrained model, one by one."""
    given = Template(AutoTokenizer.from_pretrained(tiny_base), (FOLDER / "zephyr.jinja").read_text(encoding="utf-8"))
    rows = len(answers.pack(answers.sequences(conversations(polish, 18), given, 128, "refuse"), 128, 2).ids_NS)
    one_step = replace(SFT, mix={"target": 1.0}, epochs=1, batch_tokens=128 * rows, micro_batch_sequences=1)
    figures = sft(tiny_base, said, tmp_path, one_step)
    model = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    total = count = 0
    for conversation in conversations(polish, 18):
        text, spans = tokenizer.bos_token, []
        for message in conversation.messages:
            text += f"<|{message.role}|>\n"
            start = len(text)
            text += message.content + tokenizer.eos_token
            if message.role == "assistant":
                spans.append((start, len(text)))
            text += "\n"
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, return_tensors="pt")
        with torch.no_grad():
            logprobs = model(found["input_ids"]).logits[0].log_softmax(dim=-1)
        for place, (begin, end) in enumerate(found["offset_mapping"][0].tolist()):
            if any(begin < stop and end > start for start, stop in spans):
                total -= logprobs[place - 1, found["input_ids"][0, place]].item()
                count += 1
    assert figures["steps"] == 1
    assert figures["curve"][0]["loss"] == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize("train", ["lora", "embeddings"])
def test_other_weights_can_move(tmp_path: Path, tiny_base: Path, said: Path, train: str) -> None:
    settings = replace(SFT, train=train, lora=Lora(rank=8, tables="frozen"), mix={"target": 1.0}, epochs=2)
    figures = sft(tiny_base, said, tmp_path, settings)
    assert figures["held_out"]["target"]["difference"]["value"] < 0
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_base, tmp_path))
    same = {name for name in before if torch.equal(before[name], after[name])}
    embedding = "model.embed_tokens.weight"
    assert (embedding in same) is (train == "lora")
    assert len(same) >= 3


def test_adapters_on_a_base_in_four_bits(tmp_path: Path, tiny_base: Path, said: Path) -> None:
    settings = replace(SFT, train="qlora", lora=Lora(rank=8, tables="frozen"), precision="bf16", lr=1e-2)
    figures = sft(tiny_base, said, tmp_path, settings)
    assert figures["held_out"]["target"]["difference"]["value"] < 0
    stored = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    assert stored.keys() == load_file(tiny_base / "model.safetensors").keys()


def test_a_mixture_of_experts_is_balanced_while_it_learns_to_answer(tmp_path: Path, mixture: Path, said: Path) -> None:
    figures = sft(mixture, said, tmp_path, replace(SFT, mix={"target": 1.0}, epochs=2))
    assert figures["held_out"]["target"]["difference"]["value"] < 0
    config = AutoModelForCausalLM.from_pretrained(tmp_path).config
    assert config.output_router_logits is AutoModelForCausalLM.from_pretrained(mixture).config.output_router_logits


def test_a_killed_training_goes_on_and_ends_with_the_same_bits(
    tmp_path: Path, tiny_base: Path, said: Path, trained: tuple[Path, dict]
) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", RESUMED, str(tiny_base), str(said), str(tmp_path), *paths]
    assert subprocess.run(command, capture_output=True, check=False, env=dict(os.environ)).returncode == -signal.SIGKILL
    assert (tmp_path / "scratch" / "checkpoint-5").exists()
    figures = sft(tiny_base, said, tmp_path, SFT)
    whole, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path, trained[0]))
    assert all(torch.equal(whole[name], expected[name]) for name in expected)
    assert [point["loss"] for point in figures["curve"]] == [point["loss"] for point in trained[1]["curve"]]


def test_a_checkpoint_of_other_conversations_is_refused(
    tmp_path: Path, tiny_base: Path, said: Path, trained: tuple[Path, dict]
) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", RESUMED, str(tiny_base), str(said), str(tmp_path), *paths]
    subprocess.run(command, capture_output=True, check=False, env=dict(os.environ))
    with pytest.raises(StageError, match="belongs to another training, different in the data, the template"):
        sft(tiny_base, said, tmp_path, SFT, template="llama2")


def test_a_model_cannot_be_divided(
    tmp_path: Path, tiny_base: Path, said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lingraft.core.launch.sharded", lambda: True)
    with pytest.raises(InputError, match="sft does not divide a model among devices"):
        sft(tiny_base, said, tmp_path, SFT)
