"""Invented figures of conversations, fine-tuning, preferences and judging, in the shapes that the stages return."""

from collections.abc import Callable
from typing import Any

MODELS = ("pretrain", "sft", "dpo")


def about(value: float, reach: float) -> dict[str, float]:
    return {"value": value, "low": value - reach, "high": value + reach}


def align(report: dict[str, Any], step: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    report["steps"][5:5] = [
        step("conversations", 1.4, "corpus"),
        step("preferences", 1.3, "corpus"),
        step("sft", 140.0, "pretrain", "conversations"),
        step("dpo", 60.0, "sft", "preferences"),
        step("judge", 40.0, "sft", "dpo"),
    ]
    report["training"] += [sft(), dpo()]
    report["records"] = [conversations(), preferences()]
    report["judgements"] = [judgement()]
    return report


def stream(language: str, train: int, **more: Any) -> dict[str, Any]:
    return {
        "language": language,
        "available": train,
        "train": train,
        "held_out": 20,
        "bytes": 250 * train,
        "held_out_bytes": 5_000,
        "answers": train + 30,
        "answer_bytes": {"p10": 69, "p50": 166, "p90": 244, "p100": 296},
        "turns": {"p10": 2, "p50": 2, "p90": 4, "p100": 6},
        "with_system": 9,
        "answer_languages": {"in the language": train + 23, "too short to tell": 7},
        **more,
    }


def conversations() -> dict[str, Any]:
    figures = {
        "streams": {"target": stream("pl", 194), "replay": stream("en", 62)},
        "quarantined": {"a duplicate": 3, "longer than max_record_bytes": 1},
        "repaired": {"composed to NFC": 2},
        "sources": [
            {"stream": "target", "source": "pl", "records": 218, "kept": 214, "a duplicate": 3}
            | {"longer than max_record_bytes": 1},
            {"stream": "replay", "source": "en", "records": 82, "kept": 82},
        ],
        "judged_by": {},
    }
    return {"name": "conversations", "kind": "conversations", "figures": figures}


def preferences() -> dict[str, Any]:
    counts = {"held_out_pairs": 20, "verdicts": 0, "held_out_verdicts": 0, "good_verdicts": 0}
    figures = {
        "streams": {
            "target": stream("pl", 94, pairs=94, chosen_longer=0.457, **counts),
            "replay": stream("en", 20, pairs=20, chosen_longer=0.4, **counts),
        },
        "quarantined": {},
        "repaired": {},
        "sources": [{"stream": "target", "source": "pl", "records": 114, "kept": 114}],
        "judged_by": {},
    }
    return {"name": "preferences", "kind": "preferences", "figures": figures}


def translation(records: int = 82, translated: int = 80) -> dict[str, Any]:
    figures = {
        "streams": {"target": stream("pl", 194 + translated)},
        "quarantined": {"not translated": records - translated},
        "sources": conversations()["figures"]["sources"],
        "translation": {
            "share": 1.0,
            "own": 194,
            "added": translated - 20,
            "added_held_out": 20,
            "records": records,
            "translated": translated,
            "bad": {"not translated": records - translated},
            "back": {"median_chrf": 61.4},
        },
    }
    return {"name": "more", "kind": "translate", "figures": figures}


def trained(**more: Any) -> dict[str, Any]:
    return {
        "proof": {"moved": 56, "stayed": 0, "moved_though_frozen": [], "did_not_move": []},
        "template": {"name": "zephyr", "takes_system": True, "end_ids": [1]},
        "trainable_parameters": 7_980_000,
        "parameters": 7_980_000,
        "steps": 90,
        "tokens": 178_338,
        "bytes": 302_001,
        "steps_left_out": [],
        "seconds": 137.97,
        "tokens_per_second": 1292.6,
        "flops": 7.8e12,
        "device_memory_bytes": None,
        "energy": None,
        **more,
    }


def at(done: int) -> dict[str, float]:
    return {"step": done, "tokens": 1981 * done, "bytes": 3350 * done, "seconds": 1.5 * done}


def compared(before: float, change: float, reach: float) -> dict[str, Any]:
    after = {"before": about(before, 2 * reach), "after": about(before + change, 2 * reach)}
    return {**after, "difference": about(change, reach)}


def sft() -> dict[str, Any]:
    def of(number: int, answer_tokens: int, tokens: int, epochs: float, share: float) -> dict[str, Any]:
        counts = {"conversations": number, "left_out": {}, "shortened": 0, "answer_tokens": answer_tokens}
        return {**counts, "tokens": tokens, "epochs": epochs, "share": share}

    return {
        "name": "sft",
        "kind": "sft",
        "from": "pretrain",
        "train": "full",
        "figures": trained(
            padding_share=0.0325,
            streams={"target": of(194, 13_212, 22_331, 6.0, 0.751), "replay": of(62, 2_574, 4_928, 9.0, 0.249)},
            held_out={
                "target": {"conversations": 20, "left_out": {}, **compared(2.919, -0.19, 0.043)},
                "replay": {"conversations": 20, "left_out": {}, **compared(2.012, -0.02, 0.041)},
            },
        ),
        "curve": [{**at(done), "loss": 5.5 - 0.018 * done, "lr": 5e-4} for done in range(1, 91)],
        "held_out_curve": [
            {**at(done), "bits_per_byte": {"target": 2.919 - 0.002 * done, "replay": 2.0}} for done in (0, 45, 90)
        ],
    }


def dpo() -> dict[str, Any]:
    def of(accuracy: float, preferred: float) -> dict[str, Any]:
        return {
            "pairs": 20,
            "accuracy": {
                "before": about(0.5, 0.0),
                "after": about(accuracy, 0.2),
                "difference": about(accuracy - 0.5, 0.2),
            },
            "margin": {"before": about(0.0, 0.0), "after": about(0.168, 0.08), "difference": about(0.168, 0.08)},
            "by_likelihood": compared(0.6, 0.1, 0.1),
            "length": {
                "chosen_longer": 0.5,
                "longer_preferred": about(preferred, 0.2),
                "accuracy_chosen_longer": about(0.8, 0.2),
                "accuracy_chosen_shorter": None,
            },
        }

    def stream_of(pairs: int, epochs: float, share: float) -> dict[str, Any]:
        counts = {"pairs": pairs, "judged": 0, "left_out": {}, "epochs": epochs, "share": share}
        return {**counts, "chosen_longer": 0.457}

    return {
        "name": "dpo",
        "kind": "dpo",
        "from": "sft",
        "train": "full",
        "figures": trained(
            template={"name": "own", "takes_system": True, "end_ids": [1]},
            loss="dpo",
            beta=0.1,
            streams={"target": stream_of(94, 4.0, 0.75), "replay": stream_of(20, 6.3, 0.25)},
            held_out={"target": of(0.75, 0.55), "replay": of(0.71, 0.45)},
        ),
        "curve": [
            {**at(done), "loss": 0.69, "lr": 2e-5, "accuracy": 0.5 + 0.006 * done, "margin": 0.01 * done}
            for done in range(1, 64)
        ],
        "held_out_curve": [{**at(done), "accuracy": {"target": 0.5 + 0.004 * done}} for done in (0, 32, 63)],
    }


def counted(metric: str, title: str, values: dict[str, float], *, lower: bool = False) -> list[dict[str, Any]]:
    rows = []
    for model, value in values.items():
        gap = value - values[MODELS[0]]
        verdict = "no difference" if abs(gap) < 0.1 else "better" if (gap < 0) == lower else "worse"
        against = {"difference": gap, "low": gap - 0.05, "high": gap + 0.05, "p": 0.01, "verdict": verdict}
        rows.append(
            {
                "model": model,
                "metric": metric,
                "metric_title": title,
                "lower_is_better": lower,
                "digits": 3,
                "items": 50,
                "value": value,
                "low": max(0.0, value - 0.03),
                "high": min(1.0, value + 0.03),
                "against": None if model == MODELS[0] else against,
            }
        )
    return rows


def judgement() -> dict[str, Any]:
    """Of a judge step without judges."""
    figures = {
        "models": list(MODELS),
        "asked_in": {"pretrain": "dialogue", "sft": "template", "dpo": "template"},
        "language": "pl",
        "prompts": 52,
        "answered": 50,
        "answers": {
            "rows": [
                *counted("outputs_in_target", "Outputs in the language", {"pretrain": 0.04, "sft": 0.96, "dpo": 0.98}),
                *counted(
                    "cut", "Outputs cut off at the limit", {"pretrain": 0.9, "sft": 0.06, "dpo": 0.04}, lower=True
                ),
            ]
        },
        "missing": [],
        "warnings": [],
    }
    prompt = [{"role": "user", "content": "Ile nóg ma pająk?"}]
    answers = {
        "pretrain": {"text": "of the <b> house", "characters": 5012, "cut": True},
        "sft": {"text": "Osiem.", "characters": 6, "cut": False},
        "dpo": {"text": "", "characters": 0, "cut": False},
    }
    return {"name": "judge", "figures": figures, "samples": [{"prompt": prompt, "answers": answers}]}
