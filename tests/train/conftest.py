from pathlib import Path

import pytest

from lingraft.core.outside import TextSource
from lingraft.corpus.build import build
from lingraft.train.pack import pack
from lingraft.train.settings import Settings

SEQUENCE_TOKENS = 32


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
def packed(tmp_path_factory: pytest.TempPathFactory, corpus: Path, tiny_base: Path) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack(corpus, tiny_base, folder, sequence_tokens=SEQUENCE_TOKENS)
    return folder


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        mix={"target": 0.75, "replay": 0.25},
        sequence_tokens=SEQUENCE_TOKENS,
        batch_tokens=8 * SEQUENCE_TOKENS,
        micro_batch_sequences=None,
        lr=3e-3,
        schedule="cosine",
        warmup_share=0.1,
        weight_decay=0.1,
        max_grad_norm=1.0,
        precision="fp32",
        budget_bytes=None,
        budget_tokens=8 * 8 * SEQUENCE_TOKENS,
        epochs=None,
        curve_points=3,
        curve_documents=2,
        checkpoint_minutes=10,
        seed=7,
    )
