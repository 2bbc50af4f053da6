"""Small real models and texts for every test; the network is closed but for loopback."""

import json
import os
import shutil
import signal
import socket
from pathlib import Path

# Before any Hugging Face import: nothing is looked up on a hub, no telemetry, no thread fight in small models.
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")

import pytest
import torch
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lingraft.tokenizer import content
from lingraft.tokenizer.family import BYTE_TOKEN
from lingraft.train.settings import Settings

# A script's background job is given a SIGINT that is ignored; what is tested here is what Ctrl-C does.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = "test_starter.py"
SPECIAL = ["<|bos|>", "<|eos|>", "<|pad|>"]
ENGLISH = [
    "The old lighthouse keeper climbed the stairs every evening and counted them aloud.",
    "Nobody in the village remembered who had planted the pear trees along the river.",
    "She wrote a long letter to her brother, but the post had already left the town.",
    "When the rain stopped, the children ran out to look for snails under the leaves.",
    "The market opened at six, and by seven the best bread was always gone.",
    "He repaired clocks for thirty years and was never once on time for dinner.",
    "A narrow path leads through the forest to a lake that has no name on any map.",
    "They argued about the price of the horse until the horse itself walked away.",
]
POLISH = [
    "Stary latarnik co wieczór wchodził po schodach i liczył je na głos.",
    "Nikt we wsi nie pamiętał, kto posadził grusze wzdłuż rzeki.",
    "Napisała długi list do brata, lecz poczta już odjechała z miasteczka.",
    "Kiedy deszcz ustał, dzieci wybiegły szukać ślimaków pod liśćmi.",
    "Targ otwierano o szóstej, a o siódmej najlepszego chleba już nie było.",
    "Przez trzydzieści lat naprawiał zegary i ani razu nie zdążył na obiad.",
    "Wąska ścieżka prowadzi przez las nad jezioro, które nie ma nazwy na żadnej mapie.",
    "Kłócili się o cenę konia, aż koń sam sobie poszedł.",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test begins first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def english() -> list[str]:
    return ENGLISH


@pytest.fixture(scope="session")
def polish() -> list[str]:
    return POLISH


def save_tokenizer(folder: Path, texts: list[str], size: int = 400) -> None:
    """A byte-level BPE tokenizer as a base has it, BOS added by its post-processor."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A", pair="<|bos|> $A <|bos|> $B", special_tokens=[("<|bos|>", 0)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|bos|>", eos_token="<|eos|>", pad_token="<|pad|>", model_max_length=128
    ).save_pretrained(folder)


def save_llama(folder: Path, *, tied: bool, rows: int, seed: int = 0) -> None:
    """A real Llama of two layers with random weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny_base")
    save_tokenizer(folder, ENGLISH)
    save_llama(folder, tied=True, rows=400)
    return folder


@pytest.fixture(scope="session")
def tiny_untied_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny_untied_base")
    save_tokenizer(folder, ENGLISH)
    save_llama(folder, tied=False, rows=400)
    return folder


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CONTROL = ["<unk>", "<s>", "</s>"]


@pytest.fixture(scope="session")
def sentencepiece_base(tmp_path_factory: pytest.TempPathFactory, english: list[str]) -> Path:
    """A folder as Llama-2's: spaces written as `▁`, no pre-tokenizer, bytes for what the vocabulary lacks."""
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.train_from_iterator(english, trainers.BpeTrainer(vocab_size=300, special_tokens=CONTROL, show_progress=False))
    learned = sorted(words.get_vocab().items(), key=lambda item: item[1])
    vocabulary = {
        token: at for at, token in enumerate([*CONTROL, *BYTES, *(t for t, _ in learned if t not in CONTROL)])
    }
    made = [(token[:at], token[at:]) for token, _ in learned for at in range(1, len(token))]
    merges = [pair for pair in made if pair[0] in vocabulary and pair[1] in vocabulary and "".join(pair) not in CONTROL]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _saved(tokenizer, tmp_path_factory.mktemp("sentencepiece_base"))


@pytest.fixture
def with_model(sentencepiece_base: Path, tmp_path: Path) -> Path:
    """The base with the SentencePiece file it would have been converted from; its last piece of score -1e9."""
    folder = tmp_path / "base"
    shutil.copytree(sentencepiece_base, folder)
    parsed = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    merges = content.merges(parsed["model"])
    rank = {left + right: -float(at) for at, (left, right) in reversed(list(enumerate(merges)))}
    model = proto.ModelProto()
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = False
    vocabulary = sorted(parsed["model"]["vocab"], key=parsed["model"]["vocab"].get)
    for token in vocabulary:
        kind = {"<unk>": 2, "<s>": 3, "</s>": 3}.get(token, 6 if BYTE_TOKEN.fullmatch(token) else 1)
        model.pieces.add(piece=token, score=rank.get(token, -2000.0) if kind == 1 else 0.0, type=kind)
    model.pieces[-1].score = -1e9
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    return folder


@pytest.fixture(scope="session")
def unigram_base(tmp_path_factory: pytest.TempPathFactory, english: list[str], polish: list[str]) -> Path:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=220,
        special_tokens=CONTROL,
        unk_token="<unk>",
        initial_alphabet=sorted(set("".join(polish))),
        show_progress=False,
    )
    tokenizer.train_from_iterator(english * 4, trainer)
    return _saved(tokenizer, tmp_path_factory.mktemp("unigram_base"))


@pytest.fixture(params=["tiny_base", "sentencepiece_base", "unigram_base"])
def any_base(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def _saved(tokenizer: Tokenizer, folder: Path) -> Path:
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Of a short training."""
    return Settings(
        mix={"target": 0.75, "replay": 0.25},
        sequence_tokens=32,
        batch_tokens=8 * 32,
        micro_batch_sequences=None,
        lr=3e-3,
        schedule="cosine",
        warmup_share=0.1,
        weight_decay=0.1,
        max_grad_norm=1.0,
        precision="fp32",
        budget_bytes=None,
        budget_tokens=8 * 8 * 32,
        epochs=None,
        curve_points=3,
        curve_documents=2,
        checkpoint_minutes=10,
        seed=7,
    )
