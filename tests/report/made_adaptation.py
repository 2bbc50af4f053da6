"""The figures of an invented adaptation, with every part there is."""

import math
import random
from typing import Any

from made_analyses import analyses

RECIPE = """\
# Graft Polish onto a small English model.
base: {model: example/english-novels-7m, revision: 3f2a91c}
language: pl
replay: en
seed: 17
stages:
  corpus:
    target: [{path: data/pl/*.jsonl.gz, name: novels}, {path: data/news.jsonl.zst, name: news}]
    replay: [{path: data/en/*.jsonl.gz, name: novels}]
    held_out_docs: 500
  tokenizer: {method: continued_bpe, new_tokens: 4096}
  graft: {strategy: subwords}
  pack: {sequence_tokens: 512}
  pretrain: {budget_bytes: 4.0e+8, mix: {target: 0.75, replay: 0.25}, lr: 1.0e-3, schedule: cosine}
  evaluate: {models: [base, graft, pretrain]}
  export: {format: [hf, gguf]}
  report: {}
"""
POLISH = "Wąska ścieżka prowadzi przez las nad jezioro, które nie ma nazwy na żadnej mapie."
OLD_PIECES = (
    "W|ą|s|ka| |ś||ci|e|ż|ka| pro|wad|zi| pr|ze|z| las| nad| je|zi|or|o|,| kt|ó|re| n|ie| ma| naz|wy| na"
    "| |ż||ad|ne|j| map|ie|."
)
NEW_PIECES = "W|ąska| ścieżka| prowadzi| przez| las| nad| jezi|oro|,| które| nie| ma| nazwy| na| żadnej| mapie|."
RIGHT = {"base": 0.242, "graft": 0.258, "pretrain": 0.455}
LEVELS = {"base": (2.314, 1.204), "graft": (2.871, 1.204), "pretrain": (1.592, 1.207)}


def task(model: str, name: str, metric: str, *, headline: bool = True) -> dict[str, Any]:
    value = RIGHT[model] * (100 if metric == "chrf" else 1)
    gap = value - RIGHT["base"] * (100 if metric == "chrf" else 1)
    against = {
        "difference": gap,
        "low": gap - 0.05,
        "high": gap + 0.05,
        "p": 0.004 if gap > 0.1 else 0.8,
        "p_holm": 0.012 if gap > 0.1 else 1.0,
        "test": "McNemar, exact",
        "effect": 0.4,
        "verdict": "better" if gap > 0.1 else "no difference",
    }
    return {
        "task": name,
        "suite": "starter",
        "title": {"letters": "Questions, by letter", "translation": "Translation, Polish into English"}[name],
        "language": "pl",
        "prompt_language": "pl",
        "metric": metric,
        "metric_title": {"accuracy": "Accuracy", "chrf": "chrF++", "accuracy_sum": "Accuracy, by whole likelihood"}[
            metric
        ],
        "digits": 1 if metric == "chrf" else 3,
        "lower_is_better": False,
        "headline": headline,
        "model": model,
        "items": 66,
        "groups": 40 if name == "letters" else 66,
        "shots": 0 if name == "letters" else 5,
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
        "chance": 0.25 if metric.startswith("accuracy") else None,
        "cut_items": 2 if name == "letters" else 0,
        "empty": 0,
        "against": against if model != "base" else None,
        "notes": ["There is no dev part."] if name == "translation" else [],
        "source": "Written for lingraft; CC0",
    }


def written(model: str, metric: str, title: str) -> dict[str, Any]:
    lower = metric == "switched"
    value = {"base": 0.1, "graft": 0.12, "pretrain": 0.9}[model]
    value = 1 - value if lower else value
    gap = value - (0.9 if lower else 0.1)
    verdict = {"base": None, "graft": "no difference", "pretrain": "better"}[model]
    against = {"difference": gap, "low": gap - 0.05, "high": gap + 0.05, "p": 0.03, "verdict": verdict}
    return {
        "model": model,
        "metric": metric,
        "metric_title": title,
        "lower_is_better": lower,
        "value": value,
        "low": value - 0.05,
        "high": min(1.0, value + 0.05),
        "against": against if model != "base" else None,
    }


def bits(model: str, stream: str, source: str, shift: float, width: float) -> dict[str, Any]:
    base = LEVELS["base"][stream == "replay"] + shift
    value = LEVELS[model][stream == "replay"] + shift
    against = None
    if model != "base":
        change = value - base
        narrow = width / 3
        against = {"difference": change, "low": change - narrow, "high": change + narrow, "relative": change / base}
    return {
        "model": model,
        "stream": stream,
        "source": source,
        "documents": 512,
        "resampled": 40,
        "bits_per_character": value * 1.05,
        "bits_per_word": value * 7,
        "bits_per_token": value * 3,
        "bytes": 1_840_221,
        "bits_per_byte": value,
        "low": value - width,
        "high": value + width,
        "against_base": against,
    }


def fertility(tokens: int) -> dict[str, Any]:
    return {
        "documents": 512,
        "bytes": 1_840_221,
        "characters": 1_702_119,
        "words": 262_440,
        "tokens": tokens,
        "bytes_per_token": 1_840_221 / tokens,
        "characters_per_token": 1_702_119 / tokens,
        "tokens_per_word": tokens / 262_440,
    }


def source(documents: int, bad_records: int) -> dict[str, int]:
    return {
        "documents": documents,
        "bytes": documents * 31_400,
        "characters": documents * 29_100,
        "words": documents * 4_420,
        "groups": documents // 90,
        "duplicates": documents // 41,
        "bad_records": bad_records,
    }


def step(name: str, seconds: float, *inputs: str) -> dict[str, Any]:
    def fingerprint(word: str) -> str:
        return random.Random(word).randbytes(12).hex()

    return {
        "name": name,
        "kind": name,
        "version": 1,
        "fingerprint": fingerprint(name),
        "seconds": seconds,
        "inputs": {word: fingerprint(word) for word in inputs},
        "machine": {
            "cpu": "AMD EPYC 9354",
            "cores": 16,
            "memory_bytes": 135_000_000_000,
            "gpu": ["NVIDIA H100"],
            "python": "3.12.4",
            "platform": "Linux-6.8-x86_64",
        },
        "versions": {"lingraft": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "tokenizers": "0.23.3"},
        "peak_memory_bytes": 3_412_000_000,
    }


def training() -> dict[str, Any]:
    noise = random.Random(3)
    num_steps = 1500

    def at(done: int) -> dict[str, float]:
        return {"step": done, "tokens": done * 65_536, "bytes": done * 266_000, "seconds": done * 5.1}

    curve = [
        {**at(n), "loss": 2.9 + 4 * math.exp(-n / 160) + noise.gauss(0, 0.07), "lr": 1e-3}
        for n in range(1, num_steps + 1)
    ]
    held_out = [
        {
            **at(n),
            "bits_per_byte": {
                "target": 1.585 + 1.286 * math.exp(-n / 260),
                "replay": 1.206 + 0.09 * math.exp(-n / 300) * (n > 0),
            },
        }
        for n in range(0, num_steps + 1, 75)
    ]
    return {
        "name": "pretrain",
        "kind": "pretrain",
        "from": "graft",
        "train": "full",
        "figures": {
            "tokens": 98_304_000,
            "bytes": 399_000_000,
            "steps": num_steps,
            "seconds": 7650.0,
            "tokens_per_second": 12_850,
            "flops": 4.13e15,
            "parameters": 7_980_000,
            "trainable_parameters": 7_980_000,
            "realized_mix": {"target": 0.751, "replay": 0.249},
            "device_memory_bytes": 5_120_000_000,
            "energy": {
                "kwh": 1.234,
                "kwh_by_part": {"cpu": 0.1, "gpu": 1.1, "ram": 0.034},
                "grid_g_per_kwh": 662.4,
                "grid": "POL",
                "counted_by": "codecarbon 3.3.2",
                "processor": "estimated from its load",
                "kg_co2": 0.8174,
                "cost": 0.31,
            },
        },
        "curve": curve,
        "held_out_curve": held_out,
    }


def adaptation() -> dict[str, Any]:
    sources = {"target": {"all": 0, "news": 0.11, "novels": -0.06}, "replay": {"all": 0, "novels": 0}}
    return {
        "run": {
            "name": "polish-small",
            "base": {
                "model": "example/english-novels-7m",
                "parameters": 7_210_000,
                "vocabulary": 8192,
                "dtype": "float32",
            },
            "language": {"tag": "pl", "name": "Polish", "script": "Latn", "direction": "ltr"},
            "replay": {"tag": "en", "name": "English", "script": "Latn", "direction": "ltr"},
            "seed": 17,
            "seconds": 8540.0,
            "finished": "2026-05-03T18:22:10+00:00",
            "recipe": RECIPE,
            "licenses": {"example/english-novels-7m": "Apache-2.0", "Polish novels": "public domain"},
        },
        "steps": [
            step("corpus", 88.0),
            step("tokenizer", 41.3, "corpus"),
            step("graft", 2.4, "tokenizer"),
            step("pack", 33.0, "corpus", "tokenizer"),
            step("pretrain", 7650.0, "graft", "pack"),
            step("evaluate", 655.0, "graft", "pretrain", "corpus"),
            step("export", 12.2, "pretrain"),
        ],
        "corpus": {
            "streams": {
                "target": {
                    "sources": {"novels": source(11_802, 3), "news": source(4_210, 9)},
                    "train": {"documents": 15_500, "bytes": 486_700_000},
                    "held_out": {
                        "documents": 512,
                        "bytes": 16_000_000,
                        "groups": ["Lalka", "Nad Niemnem", "Ziemia obiecana"],
                    },
                },
                "replay": {
                    "sources": {"novels": source(5_120, 0)},
                    "train": {"documents": 4_608, "bytes": 144_700_000},
                    "held_out": {"documents": 512, "bytes": 16_100_000, "groups": ["Middlemarch", "Emma"]},
                },
            },
            "bad_records": 12,
            "bad_reasons": {"empty text": 8, "invalid UTF-8": 4},
        },
        "tokenizer": {
            "method": "continued_bpe",
            "old_size": 8192,
            "new_size": 12_288,
            "new_tokens": 4096,
            "new_tokens_asked": 5000,
            "text": {
                "torn_words": 0.541,
                "marks_joined": True,
                "curve": [
                    {"new_tokens": 0, "bytes_per_token": 1.61, "occurrences": None},
                    {"new_tokens": 2000, "bytes_per_token": 2.82, "occurrences": 812},
                    {"new_tokens": 4096, "bytes_per_token": 3.09, "occurrences": 143},
                ],
            },
            "examples": [
                " ścieżka",
                " które",
                " żadnej",
                " przez",
                "ości",
                " powiedział",
                " wieczór",
                "owała",
                "niejsz",
            ],
            "fertility": {
                "target": {"old": fertility(866_401), "new": fertility(451_220)},
                "replay": {"old": fertility(438_150), "new": fertility(438_190)},
            },
            "proofs": {
                "new_tokens": 4096,
                "unreachable": 0,
                "round_trip": {"documents": 1024, "exact": 1024},
                "old_ids_moved": 0,
                "graphemes_newly_torn": 0,
                "special_tokens_unchanged": True,
                "chat_template_unchanged": True,
                "replay_documents": 512,
                "replay_documents_resegmented": 9,
                "replay_token_change": 0.00009,
            },
            "preview": [
                {"stream": "target", "text": POLISH, "old": OLD_PIECES.split("|"), "new": NEW_PIECES.split("|")}
            ],
        },
        "graft": {
            "strategy": "subwords",
            "bakeoff": {
                "documents": 64,
                "base_bits_per_byte": 2.314,
                "table": [
                    {"input": "subwords", "output": None, "bits_per_byte": 2.871, "low": 2.85, "high": 2.892},
                    {"input": "gaussian", "output": None, "bits_per_byte": 3.114, "low": 3.09, "high": 3.139},
                ],
                "winner": {"input": "subwords", "output": None},
            },
            "new_rows": 4096,
            "rows_from_subwords": 4096,
            "rows_random": 0,
            "tied": True,
            "old_rows": 8192,
            "rows": 12_288,
            "mean_pieces": 3.12,
            "new_row_norm": {"mean": 0.71},
            "old_row_norm": {"mean": 1.12},
        },
        "training": [training()],
        "evaluation": {
            "coverage": 0.95,
            "models": list(LEVELS),
            "tasks": [
                *(task(model, "letters", "accuracy") for model in LEVELS),
                *(task(model, "letters", "accuracy_sum", headline=False) for model in LEVELS),
                *(task(model, "translation", "chrf") for model in LEVELS),
            ],
            "writing": {
                "language": "pl",
                "other": "en",
                "prompts": 40,
                "max_new_tokens": 60,
                "temperature": 0.8,
                "rows": [
                    *(written(model, "in_target", "Sentences in the language") for model in LEVELS),
                    *(written(model, "switched", "Outputs that switch code") for model in LEVELS),
                ],
                "passages": {"base": [{"text": "of the <b>", "count": 3}], "graft": [], "pretrain": []},
                "reliability": {"known": 0.63, "false_alarms": 0.08, "found": 0.98, "enough": False},
            },
            "missing": [{"suite": "xcopa", "why": "there is no Polish here.", "task": None, "model": None}],
            "leaks": [
                {
                    "task": "letters",
                    "title": "Questions, by letter",
                    "searched": True,
                    "items": 66,
                    "leaked": 3,
                    "too_short": 0,
                    "examples": ["cho-001", "cho-007", "cho-009"],
                    "without": {"base": 0.238, "graft": 0.254, "pretrain": 0.429},
                },
                {
                    "task": "hellaswag",
                    "title": "hellaswag",
                    "searched": False,
                    "items": 0,
                    "leaked": 0,
                    "too_short": 0,
                    "examples": [],
                    "without": {},
                },
            ],
            "bits": [
                bits(model, stream, name, shift, 0.02 if name == "all" else 0.034)
                for stream, shifts in sources.items()
                for name, shift in shifts.items()
                for model in LEVELS
            ],
            "fertility": [
                {
                    "model": model,
                    "stream": stream,
                    "bytes_per_token": 4.2 if stream == "replay" else 2.12 if model == "base" else 4.08,
                    "tokens_per_word": 1.67 if stream == "replay" else 3.3 if model == "base" else 1.72,
                }
                for stream in sources
                for model in LEVELS
            ],
            "speed": [
                {"model": "base", "characters_per_second": 412.0, "tokens_per_second": 203.0},
                {"model": "graft", "characters_per_second": 733.0, "tokens_per_second": 196.0},
                {"model": "pretrain", "characters_per_second": 741.0, "tokens_per_second": 197.0},
            ],
            "samples": [
                {
                    "prompt": "Stary latarnik co wieczór",
                    "stream": "target",
                    "continuations": {
                        "base": " w the was wie to po the sta",
                        "graft": " na the i po w się",
                        "pretrain": " wchodził po schodach i patrzył na morze, które tego dnia było spokojne.",
                    },
                },
                {
                    "prompt": "The market opened at six",
                    "stream": "replay",
                    "continuations": {
                        "base": ", and the people stood in the rain before the doors.",
                        "graft": ", and the people stood in the rain before the doors.",
                        "pretrain": ", and the women were already waiting with their baskets.",
                    },
                },
            ],
        },
        "analysis": analyses(),
        "export": {
            "formats": ["hf", "gguf"],
            "folder": "export/polish-small",
            "gate": {
                "token_ids_identical": True,
                "logits_identical": False,
                "max_logit_difference": 3.1e-6,
                "texts": 64,
            },
        },
    }
