import json
from pathlib import Path

import pytest
import torch
from trained_for_tests import Recorder, Trained
from transformers import AutoTokenizer, MixtralConfig, MixtralForCausalLM
from tuning_for_tests import conversations, preferences

from lingraft.core.outside import TextSource
from lingraft.corpus.build import build
from lingraft.train.pack import pack
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Settings


def joined(sentences: list[str], count: int) -> list[str]:
    """Documents of unlike lengths, no two the same."""
    return [" ".join([*sentences[: 1 + index % 3], sentences[index % 8], str(index)]) for index in range(count)]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, polish: list[str], english: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for name, sentences, count in (("pl.txt", polish, 40), ("en.txt", english, 25)):
        (folder / name).write_text("\n".join(joined(sentences, count)), encoding="utf-8")
    build(
        [TextSource(path="pl.txt")],
        [TextSource(path="en.txt")],
        folder / "made",
        base_folder=folder,
        held_out_docs=5,
        max_document_bytes=10_000,
        max_bad_share=0,
        seed=1,
    )
    return folder / "made"


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, corpus: Path, tiny_base: Path, settings: Settings) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack(corpus, tiny_base, folder, sequence_tokens=settings.sequence_tokens)
    return folder


@pytest.fixture(scope="session")
def mixture(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A Mixtral of two layers with four experts, of which two are chosen."""
    folder = tmp_path_factory.mktemp("mixture")
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        num_experts_per_tok=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    MixtralForCausalLM(config).to(torch.float32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, packed: Path, corpus: Path, settings: Settings
) -> Trained:
    """The undisturbed training that the others are compared with."""
    folder, progress = tmp_path_factory.mktemp("trained"), Recorder()
    return Trained(folder, pretrain(tiny_base, packed, corpus, folder, settings, progress=progress), progress)


@pytest.fixture(scope="session")
def said(tmp_path_factory: pytest.TempPathFactory, polish: list[str], english: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("conversations")
    for stream, sentences in (("target", polish), ("replay", english)):
        made = [json.dumps(conversation.as_json()) for conversation in conversations(sentences, 24)]
        (folder / f"{stream}.jsonl").write_text("\n".join(made[:18]) + "\n", encoding="utf-8")
        (folder / f"{stream}.held_out.jsonl").write_text("\n".join(made[18:]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def preferred(tmp_path_factory: pytest.TempPathFactory, polish: list[str], english: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("preferences")
    for stream, sentences, count in (("target", polish, 20), ("replay", english, 12)):
        made = [json.dumps(preference.as_json()) for preference in preferences(sentences, count)]
        (folder / f"{stream}.jsonl").write_text("\n".join(made[:-6]) + "\n", encoding="utf-8")
        (folder / f"{stream}.held_out.jsonl").write_text("\n".join(made[-6:]) + "\n", encoding="utf-8")
    return folder
