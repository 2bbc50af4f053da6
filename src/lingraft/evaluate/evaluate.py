"""Several models on the same held-out text: bits per byte with intervals, samples, speed."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.core.progress import SILENT, Progress
from lingraft.corpus import shards
from lingraft.corpus.language import Language

from . import bits, generate, kept, statistics
from .bits import Bits
from .generate import Loaded
from .language.prose import UNSPACED

Each = TypeVar("Each")

STREAMS = ("target", "replay")
EVERY_SOURCE = "all"
SPEED_TOKENS = 128
SPEED_ROUNDS = 3
LEAST_DOCUMENTS = 5
"""Of a source, to stand in the table by itself: resampling fewer makes an interval that is far too narrow."""
LEAST_GROUPS = 8
"""Novels, sites or authors, to be resampled instead of their documents: of fewer a bootstrap knows too little."""


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """The held-out documents of one stream."""

    stream: str
    language: Language
    texts: list[str]
    sources: list[str]
    groups: Sequence[str | None] = ()
    """The novel, site or author of each document; none where the corpus knows of none."""

    def of(self, source: str, records: Sequence[Each]) -> list[Each]:
        """Those of the records, one a document, that are of a source, or of all."""
        return [r for r, s in zip(records, self.sources, strict=True) if source in (EVERY_SOURCE, s)]

    def clusters(self, source: str) -> list[str]:
        """What is resampled as one: the group where there are enough of them, else the document."""
        documents = [f"document {number}" for number in range(len(self.texts))]
        groups = [group or document for group, document in zip(self.groups or documents, documents, strict=True)]
        found = self.of(source, groups)
        return found if len(set(found)) >= LEAST_GROUPS else self.of(source, documents)

    def parts(self) -> list[str]:
        """`all`, and where there are several sources each that has documents enough for an interval."""
        counts = Counter(self.sources)
        enough = sorted(name for name, count in counts.items() if count >= LEAST_DOCUMENTS)
        return [EVERY_SOURCE, *(enough if len(counts) > 1 else [])]


def load(folder: Path, *, trust_remote_code: bool = False) -> Loaded:
    """A model for evaluation: float32 on a CPU, as it is stored on a GPU."""
    device, dtype = ("cuda", "auto") if torch.cuda.is_available() else ("cpu", torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, trust_remote_code=trust_remote_code, use_safetensors=True
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    generate.forget_habits(model)
    return Loaded(model.to(device).eval(), tokenizer)


def held_out(corpus: Path, languages: Mapping[str, Language], max_documents: int | None) -> list[HeldOut]:
    """The held-out documents of a corpus artifact, at most `max_documents` of every stream, evenly spread."""
    found = []
    for stream in STREAMS:
        if stream not in languages or not (corpus / stream).exists():
            continue
        rows = shards.sample(corpus, stream, "held_out", max_documents)
        if rows:
            found.append(HeldOut(stream, languages[stream], *map(list, zip(*rows, strict=True))))
    return found


def measure_bits(
    models: Mapping[str, Path],
    texts: Sequence[HeldOut],
    folder: Path,
    *,
    context_tokens: int,
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> dict[str, dict[str, list[Bits]]]:
    """Bits of every document by model and stream; each model's are kept in `folder` as soon as they are there."""
    about = {"texts": kept.digest([[text.stream, text.texts] for text in texts]), "context_tokens": context_tokens}

    def made(path: Path) -> dict[str, list[dict[str, Any]]]:
        loaded = load(path, trust_remote_code=path in trusted)
        return {
            text.stream: [
                dataclasses.asdict(record)
                for record in bits.measure(
                    loaded.model, loaded.tokenizer, text.texts, context_tokens=context_tokens, progress=progress
                )
            ]
            for text in texts
        }

    measured = {}
    for name, path in models.items():
        identity = {"model": kept.model_digest(path), **about}
        streams = kept.result(folder / f"bits-{name}.json", identity, functools.partial(made, path))
        measured[name] = {stream: [Bits(**record) for record in records] for stream, records in streams.items()}
    return measured


def bits_table(
    measured: Mapping[str, Mapping[str, list[Bits]]], texts: Sequence[HeldOut], *, seed: int
) -> list[dict[str, Any]]:
    """A row for every stream, source and model: bits per byte with intervals, and the gap to the first model."""
    rows = []
    first = next(iter(measured))
    for text in texts:
        for source in text.parts():
            against = text.of(source, measured[first][text.stream])
            clusters = text.clusters(source)
            documents = text.of(source, text.texts)
            num_words = sum(len(document.split()) for document in documents) if text.language.spaces else None
            for model, streams in measured.items():
                records = text.of(source, streams[text.stream])
                interval = statistics.bits_per_byte(records, seed=seed, groups=clusters)
                num_bits = sum(record.bits for record in records)
                rows.append(
                    {
                        "model": model,
                        "stream": text.stream,
                        "source": source,
                        "documents": len(records),
                        "resampled": len(set(clusters)),
                        "bytes": sum(record.bytes for record in records),
                        "bits_per_byte": interval.value,
                        "low": interval.low,
                        "high": interval.high,
                        "bits_per_character": num_bits / sum(map(len, documents)),
                        "bits_per_word": num_bits / num_words if num_words else None,
                        "bits_per_token": num_bits / sum(record.tokens for record in records),
                        "against_base": None if model == first else _against(records, against, seed, clusters),
                    }
                )
    return rows


def _against(records: list[Bits], base: list[Bits], seed: int, clusters: list[str]) -> dict[str, float]:
    gap = statistics.difference(records, base, seed=seed, groups=clusters)
    return {
        "difference": gap.value,
        "low": gap.low,
        "high": gap.high,
        "relative": gap.value / bits.bits_per_byte(base),
    }


def fertility_table(measured: Mapping[str, Mapping[str, list[Bits]]], texts: Sequence[HeldOut]) -> list[dict[str, Any]]:
    """Bytes per token and tokens per whitespace word of every model's tokenizer on the held-out text."""
    rows = []
    for text in texts:
        words = sum(len(document.split()) for document in text.texts)
        for model, streams in measured.items():
            tokens = sum(record.tokens for record in streams[text.stream])
            size = sum(record.bytes for record in streams[text.stream])
            rows.append(
                {
                    "model": model,
                    "stream": text.stream,
                    "bytes_per_token": size / tokens,
                    "tokens_per_word": tokens / words if text.language.spaces else None,
                }
            )
    return rows


def first_words(text: str, characters: int) -> str:
    """The beginning of a text, cut after a whole word; of a script without spaces, after a character."""
    text = text.strip()
    if len(text) <= characters:
        return text
    beginning = text[:characters]
    *words, last = beginning.rsplit(None, 1)
    return beginning if not words or UNSPACED.search(last) else words[0]


def write_samples(
    models: Mapping[str, Path],
    prompts: Sequence[tuple[str, str]],
    texts: Sequence[HeldOut],
    *,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Continuations of (stream, prompt) by every model, and the speed at which each could write the target language.

    The speed in characters is tokens a second times the characters that a token holds in the held-out target text:
    what a model happens to write (the base: its own language) would flatter it. It is a median of rounds in which the
    models take turns, so that a slow moment of the machine meets all of them. One of them is in memory at a time.
    """
    samples = [{"stream": stream, "prompt": prompt, "continuations": {}} for stream, prompt in prompts]
    target = next(text for text in texts if text.stream == "target")
    characters: dict[str, float] = {}
    rates: dict[str, list[float]] = {name: [] for name in models}
    turns = [name for _ in range(SPEED_ROUNDS) for name in models]
    for name in progress.track(turns, "writing samples", len(turns), "turns"):
        loaded = load(models[name], trust_remote_code=models[name] in trusted)
        if not rates[name]:
            written = generate.continue_prompts(
                loaded,
                [prompt for _, prompt in prompts],
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
            )
            for sample, text in zip(samples, written, strict=True):
                sample["continuations"][name] = text
            characters[name] = sum(map(len, target.texts)) / _num_tokens(loaded, target.texts)
        rates[name].append(generate.speed(loaded, prompts[0][1], new_tokens=SPEED_TOKENS))
        del loaded  # before the next comes
    speed = []
    for name, rounds in rates.items():
        rate = median(rounds)
        speed.append({"model": name, "tokens_per_second": rate, "characters_per_second": rate * characters[name]})
    return samples, speed


def _num_tokens(loaded: Loaded, texts: list[str]) -> int:
    return sum(len(ids) for ids in loaded.tokenizer(texts, add_special_tokens=False)["input_ids"])
