"""Invented figures of every analysis, in the shape that lingraft.analyze returns; English is forgotten."""

from typing import Any

MODELS = ("base", "graft", "pretrain")
VARIANTS = ("cosine", "margin", "centered_cosine", "centered_margin")


def about(value: float, reach: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - reach, "high": value + reach}


def analyses() -> dict[str, Any]:
    return {
        "models": list(MODELS),
        "forgetting": forgetting(),
        "experts": experts(),
        "alignment": alignment(),
        "context": context(),
        "fertility": fertility(),
        "quantization": quantization(),
        "efficiency": efficiency(),
    }


def forgetting() -> dict[str, Any]:
    rises = {
        "target": {"base": None, "graft": (0.24, "forgotten"), "pretrain": (-0.312, "kept")},
        "replay": {"base": None, "graft": (0.0, "kept"), "pretrain": (0.15, "forgotten")},
    }
    spread = {"mean": 9.0, "quantiles": [float(n) for n in range(21)]}
    return {
        "base": "base",
        "adapted": "pretrain",
        "forgotten_above": 0.1,
        "languages": [
            {
                "model": model,
                "stream": stream,
                "language": {"target": "Polish", "replay": "English"}[stream],
                "documents": 20,
                "bytes": 33_677,
                "bits_per_byte": about(2.0),
                "gap": rise and about(2 * rise[0]),
                "rise": rise and about(rise[0]),
                "verdict": rise and rise[1],
            }
            for stream, by_model in rises.items()
            for model, rise in by_model.items()
        ],
        "forgotten": ["English"],
        "curves": {
            "pretrain": [
                {"bytes": 0, "rise": {"target": 0.0, "replay": 0.0}},
                {"bytes": 200_000_000, "rise": {"target": -0.4, "replay": 0.12}},
                {"bytes": 399_000_000, "rise": {"target": -0.45, "replay": 0.15}},
            ]
        },
        "weights": {
            "whole": {"parameters": 1000, "relative": 0.07, "cosine": 0.998},
            "layers": [
                {"layer": layer, "parameters": 400, "relative": relative, "cosine": 0.99}
                for layer, relative in enumerate((0.05, 0.1))
            ],
            "kinds": [
                {"kind": "input_layernorm", "parameters": 100, "relative": 0.009, "cosine": 1.0},
                {"kind": "self_attn.q_proj", "parameters": 700, "relative": 0.2, "cosine": 0.98},
            ],
            "matrices": [],
            "not_compared": [f"extra.{n}.weight" for n in range(7)],
        },
        "new_tokens": {
            "tied": True,
            "tokens": 4096,
            "dropped": 0,
            "start": "graft",
            "rows": [
                {
                    "side": "input",
                    "old": {"rows": 8192, "degrees": spread, "norm": spread},
                    "new": {"rows": 4096, "degrees": {**spread, "quantiles": [4.26] * 21}, "norm": spread},
                }
            ],
            "text_tokens": 20_859,
            "neighbors": [
                {
                    "token": " które",
                    "id": 8199,
                    "count": 117,
                    "input": [{"token": "kt", "cosine": 0.768}, {"token": "\n", "cosine": 0.5}],
                }
            ],
            "still_degrees": 1.0,
            "dead": {
                "input": {
                    "unused": {"tokens": 116, "share": 0.028, "examples": [" wszy", "niejsz"]},
                    "still": {"tokens": 0, "share": 0.0, "examples": []},
                    "pushed": {"tokens": 23, "share": 0.0056, "examples": [" wszy"]},
                    "dead": {"tokens": 18, "share": 0.0044, "examples": [" wszy"]},
                    "norm_far_off": {"tokens": 3, "share": 0.0007, "examples": ["\t"], "share_of_old": 0.027},
                }
            },
        },
    }


def experts() -> dict[str, Any]:
    return {
        "documents": {"target": 48, "replay": 48},
        "bytes": {"target": 49_148, "replay": 48_417},
        "languages": {"target": "pl", "replay": "en"},
        "context_tokens": 512,
        "measures": {
            **measures(),
            "letters": {"title": "Questions", "metric": "Accuracy", "lower_is_better": False, "chance": 0.25},
        },
        "dead_share": 0.01,
        "models": {model: mixture(dead=model == "pretrain") for model in MODELS},
        "between_models": [
            {
                "models": ["base", model],
                "divergence": {stream: [about(0.02)] * 2 for stream in ("target", "replay")},
                "likeness": {
                    score: {"zero": about(0.61), "mask": about(0.5)} for score in ("target", "replay", "letters")
                },
            }
            for model in MODELS[1:]
        ],
    }


def measures() -> dict[str, Any]:
    bits = {"metric": "Bits per byte", "lower_is_better": True, "chance": None}
    return {"target": {"title": "Polish", **bits}, "replay": {"title": "English", **bits}}


def mixture(*, dead: bool) -> dict[str, Any]:
    """Layers 1 and 3 of four experts each, of which the last of all may be dead."""

    def heat(scale: float) -> dict[str, Any]:
        changes = [[0.16, 0.04, -0.01, 0.0], [0.09, 0.01, 0.04, 0.0]]
        return {
            "change": [
                [{**about(scale * one, 0.005), "p": 0.001, "p_holm": 0.01, "differs": one >= 0.04} for one in of_layer]
                for of_layer in changes
            ],
            "by_layer": [about(0.05)] * 2,
            "noise": 0.005,
            "num_differ": 4,
        }

    loads = [[0.4, 0.3, 0.2, 0.1], [0.5, 0.3, 0.2, 0.0]]
    routing = {"load": [[about(one) for one in of_layer] for of_layer in loads], "entropy": [about(1.7), about(1.4)]}
    return {
        "layers": [1, 3],
        "num_experts": 4,
        "even_entropy": 2.0,
        "routing": {"target": routing, "replay": routing},
        "scores": {
            name: {"whole": about(1.6), "zero": heat(scale), "mask": heat(scale / 2)}
            for name, scale in {"target": 1.0, "replay": 0.5, "letters": -1.0}.items()
        },
        "overlap": [
            {
                "streams": ["target", "replay"],
                "divergence": [{**about(value), "by_chance": 0.002} for value in (0.06, 0.09)],
            }
        ],
        "likeness": [{"scores": ["target", "replay"], "zero": about(-0.073), "mask": about(0.238)}],
        "dead": [{"layer": 3, "expert": 3, "why": ["chosen for at most 0.000%", "nothing changes without it"]}]
        if dead
        else [],
    }


def alignment() -> dict[str, Any]:
    found = {"base": 0.049, "graft": 0.11, "pretrain": 0.43}
    return {
        "target": "Polish",
        "replay": "English",
        "pairs": 130,
        "source": "starter",
        "chance": 1 / 130,
        "variants": list(VARIANTS),
        "headline": "centered_margin, mean of both ways and of all layers above the embeddings",
        "spelling": about(0.185, 0.06),
        "models": [
            {
                "model": model,
                "accuracy": about(value, 0.03),
                "gain": None if model == "base" else about(value - found["base"], 0.07),
                "against_spelling": about(value - 0.185, 0.08),
                "best_layer": 1,
                "cut": 3 if model == "base" else 0,
            }
            for model, value in found.items()
        ],
        "layers": [
            {
                "model": model,
                "layer": layer,
                "accuracy": {variant: {"both": about(value * (layer + 1) / 3, 0.02)} for variant in VARIANTS},
            }
            for model, value in found.items()
            for layer in range(3)
        ],
    }


def fertility() -> dict[str, Any]:
    per_word = {"base": 2.65, "graft": 1.6, "pretrain": 1.6}

    def costs(stream: str, model: str) -> dict[str, Any]:
        value = per_word[model] if stream == "target" else 1.45
        change = None if model == "base" else about(value / 2.65 - 1 if stream == "target" else 0.0, 0.005)
        return {
            "tokens": int(1000 * value),
            "byte_fallback_rate": 0.031,
            "tokens_per_word": about(value),
            "tokens_per_sentence": about(20 * value, 0.5),
            "bytes_per_token": about(7 / value),
            "change": change,
        }

    return {
        "target": "Polish",
        "replay": "English",
        "sentences": 1997,
        "source": "ntrex",
        "words": {"target": 1000, "replay": 1200},
        "bytes": {"target": 7000, "replay": 6500},
        "models": [
            {
                "model": model,
                "vocabulary": 8192 if model == "base" else 12_288,
                "added_tokens": 0 if model == "base" else 4096,
                "parity": about(value / 1.45),
                **{stream: costs(stream, model) for stream in ("target", "replay")},
            }
            for model, value in per_word.items()
        ],
    }


def context() -> dict[str, Any]:
    bins = [(0, 256, 20), (256, 512, 14), (512, 16_384, 2)]
    return {
        "most_tokens": 512,
        "documents": {"target": 20, "replay": 20},
        "languages": {"target": "pl", "replay": "en"},
        "positions": [
            {
                "stream": stream,
                "from_byte": begin,
                "to_byte": end,
                "documents": documents,
                "models": {model: {"bits_per_byte": about(3 - begin / 1000), "tokens_before": 0.0} for model in MODELS}
                if documents > 5
                else {},
            }
            for stream in ("target", "replay")
            for begin, end, documents in bins
        ],
        "needles": [
            *(
                {
                    "stream": "target",
                    "bytes": 512,
                    "haystacks": 20,
                    "depth": depth,
                    "models": {
                        model: {
                            "found": about(0.9 if model == "pretrain" and depth != "absent" else 0.1, 0.1),
                            "other_fact": about(0.05, 0.05),
                            "cut_tokens": 12 if model == "base" else 0,
                        }
                        for model in MODELS
                    },
                }
                for depth in (0.0, 0.5, 1.0, "every", "absent")
            ),
            {"stream": "target", "bytes": 16_384, "haystacks": 3, "depth": "every", "models": {}},
        ],
        "chance": 0.1,
    }


def quantization() -> dict[str, Any]:
    lost = {"16": 0.0004, "8": 0.002, "4": 0.08}
    rows = []
    for measure in ("target", "replay"):
        for place, model in enumerate(MODELS):
            row = {"model": model, "measure": measure}
            rows.append({**row, "precision": "unquantized", "score": about(2.3 - 0.2 * place)})
            for precision, change in lost.items():
                tested = {"p": 0.01, "p_holm": 0.03, "differs": precision == "4"}
                rows.append({**row, "precision": precision, "score": about(2.3), "change": about(change) | tested})
                if place:
                    rows[-1]["more_than_before"] = about(-0.03) | tested
    return {
        "documents": {"target": 20, "replay": 20},
        "languages": {"target": "pl", "replay": "en"},
        "context_tokens": 512,
        "models": {
            model: {
                "unquantized": {"quantized": 0.0, "experts": 0.0, "bits_per_weight": 32},
                "16": {"quantized": 0.0, "experts": 0.0, "bits_per_weight": 16.0},
                "8": {"quantized": 0.1, "experts": 0.6, "bits_per_weight": 10.5},
                "4": {"quantized": 0.1, "experts": 0.6, "bits_per_weight": 7.8},
            }
            for model in MODELS
        },
        "measures": measures(),
        "rows": rows,
    }


def efficiency() -> dict[str, Any]:
    def point(share: float, bytes_: float, watt_hours: float) -> dict[str, Any]:
        bits = {"target": 4.5 - 2 * share, "replay": 1.8}
        costs = {"bytes": bytes_ * share, "flops": 1e15 * share, "hours": 2 * share, "watt_hours": watt_hours * share}
        return {**costs, "bits_per_byte": bits}

    def training(name: str, train: str, last: dict[str, Any], gone_on_from: str | None) -> dict[str, Any]:
        streams = {
            "target": {"start": 4.5, "end": 2.5, "gained": 2.0, "gained_per": {}},
            "replay": {"start": 1.8, "end": 1.8, "gained": 0.0, "gained_per": {}},
        }
        settings = {"train": train, "trainable_share": 0.5, "parameters": 7_075_072, "tokens": 430_080}
        totals = {cost: last[cost] for cost in ("bytes", "flops", "hours", "watt_hours")}
        return {"training": name, **settings, "gone_on_from": gone_on_from, **totals, "streams": streams}

    curves = {
        "pretrain": [point(share, 4e8, 1234.0) for share in (0.0, 0.5, 1.0)],
        "lora": [point(share, 2e6, 20.0) for share in (0.0, 1.0)],
    }
    return {
        "costs_from": {"flops": "computed from the tokens: no counter measured them"},
        "curves": curves,
        "trainings": [
            training("pretrain", "full", curves["pretrain"][-1], None),
            training("lora", "lora", curves["lora"][-1], "pretrain"),
        ],
        "at_equal_cost": [
            {
                "cost": "bytes",
                "amount": 2e6,
                "bits_per_byte": {
                    "pretrain": {"target": 4.49, "replay": 1.8},
                    "lora": {"target": 2.5, "replay": 1.8},
                },
            }
        ],
    }
