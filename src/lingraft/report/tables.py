"""The tables of the page: plain rows, ready to be written out by the templates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import format as fmt
from .figures import Axis, axis
from .headline import BASE, adapted_model, bits_row, verdict

STREAMS = ("target", "replay")

DONE = {
    "base": "the model that was there before",
    "corpus": "texts read, cleaned, some held out",
    "tokenizer": "tokens of the language added",
    "graft": "the new tokens given their first weights",
    "pack": "texts cut into sequences",
    "pretrain": "trained on the texts",
    "conversations": "conversations read and checked",
    "preferences": "pairs of answers read and checked",
    "translate": "translated",
    "translate_preferences": "pairs of answers translated",
    "on_policy": "pairs made from the model’s own answers",
    "sft": "trained to answer, on conversations",
    "dpo": "trained on which answer is preferred",
    "chat_vector": "the difference that made an assistant of the base, added",
    "evaluate": "all models asked the same",
    "judge": "answers compared",
    "analyze": "the inside of the models looked at",
    "export": "written for other programs, loaded again",
    "report": "this page",
}
"""What a step of each kind does, in a few words."""


@dataclass(frozen=True)
class Comparison:
    """Bits per byte of every model and source of one stream, and the axis on which they are drawn."""

    stream: str
    axis: Axis
    sources: dict[str, list[Mapping[str, Any]]]
    """Source -> its rows, one a model, each with its `role` (base, between, adapted) and `verdict`."""


@dataclass(frozen=True)
class Proof:
    """Something checked, what was found, and whether it is as it must be (None: a figure, not a condition)."""

    claim: str
    found: str
    holds: bool | None


@dataclass(frozen=True)
class Piece:
    """A run of text that one token covers, or several that share a character."""

    text: str
    num_tokens: int


@dataclass(frozen=True)
class Environment:
    """The machine and package versions under which some steps ran."""

    steps: list[str]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]


def comparisons(report: Mapping[str, Any]) -> list[Comparison]:
    """One comparison a stream; all sources together come first, models in the order of the evaluation."""
    evaluation = report.get("evaluation", {})
    found = []
    for stream in STREAMS:
        rows = [row for row in evaluation.get("bits", []) if row["stream"] == stream]
        if not rows:
            continue
        rows.sort(key=lambda row: (row["source"] != "all", row["source"], evaluation["models"].index(row["model"])))
        sources: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            shown = {**row, "role": role_of(report, row["model"]), "verdict": verdict(row["against_base"])}
            sources.setdefault(row["source"], []).append(shown)
        found.append(Comparison(stream, axis([row[end] for row in rows for end in ("low", "high")]), sources))
    return found


def overview(report: Mapping[str, Any]) -> Comparison | None:
    """Base against adapted model over all sources, both streams on one axis; None unless both were measured."""
    pairs = {}
    for stream in STREAMS:
        pair = [bits_row(report, model, stream) for model in (BASE, adapted_model(report))]
        if None not in pair:
            pairs[stream] = pair
    if not pairs:
        return None
    ends = [row[end] for pair in pairs.values() for row in pair for end in ("low", "high")]
    return Comparison("all", axis(ends, num_ticks=8), pairs)


def said_of_models(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every evaluated model with what had been done when it was made."""
    kinds = {step["name"]: step["kind"] for step in report["steps"]} | {BASE: BASE}
    models = report.get("evaluation", {}).get("models", [])
    return [(model, DONE[kinds[model]]) for model in models if kinds.get(model) in DONE]


def models(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each model makes of text: its fertility in both streams and its speed, where measured."""
    evaluation = report.get("evaluation", {})
    rows = []
    for model in evaluation.get("models", []):
        fertility = {row["stream"]: row for row in evaluation.get("fertility", []) if row["model"] == model}
        speed = next((row for row in evaluation.get("speed", []) if row["model"] == model), None)
        if fertility or speed:
            rows.append({"model": model, "role": role_of(report, model), "speed": speed, **fertility})
    return rows


def tokenizer_proofs(proofs: Mapping[str, Any]) -> list[Proof]:
    """What `tokenizer.prove` found, condition by condition."""
    trip, replay = proofs["round_trip"], proofs["replay_documents"]
    resegmented = proofs["replay_documents_resegmented"]
    share = f" ({fmt.percent(resegmented / replay)})" if replay else ""
    return [
        Proof(
            "Every new token can be reached",
            f"{fmt.count(proofs['unreachable'])} of {fmt.count(proofs['new_tokens'])} unreachable",
            proofs["unreachable"] == 0,
        ),
        Proof(
            "Text comes back exactly",
            f"{fmt.count(trip['exact'])} of {fmt.count(trip['documents'])} documents",
            trip["exact"] == trip["documents"],
        ),
        Proof("Old tokens keep their ids", f"{fmt.count(proofs['old_ids_moved'])} moved", proofs["old_ids_moved"] == 0),
        Proof(
            "Characters stay whole",
            f"{fmt.count(proofs['graphemes_newly_torn'])} newly torn",
            proofs["graphemes_newly_torn"] == 0,
        ),
        Proof("Special tokens are unchanged", *_yes(proofs["special_tokens_unchanged"])),
        Proof("Chat template is unchanged", *_yes(proofs["chat_template_unchanged"])),
        Proof(
            "Replay text cut differently",
            f"{fmt.count(resegmented)} of {fmt.count(replay)} documents{share}, "
            f"{fmt.signed_percent(proofs['replay_token_change'], 2)} tokens",
            None,
        ),
    ]


def gain_curve(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The points of a gain curve, each with the length of its bar in percent of the longest."""
    longest = max(point["bytes_per_token"] for point in curve)
    return [{**point, "length": round(100 * point["bytes_per_token"] / longest, 1)} for point in curve]


def export_gate(gate: Mapping[str, Any]) -> list[Proof]:
    """What the export gate found when it loaded the exported model again."""
    texts = f"{fmt.count(gate['texts'])} texts"
    return [
        Proof("Token ids are identical", texts, gate["token_ids_identical"]),
        Proof(
            "Logits are identical",
            f"{texts}, largest difference {fmt.scientific(gate['max_logit_difference'])}",
            gate["logits_identical"],
        ),
    ]


def pieces(tokens: Sequence[str]) -> list[Piece]:
    """Tokens as runs of text: an empty one shares the last character of the token before it."""
    runs: list[Piece] = []
    waiting = 0
    for token in tokens:
        if token:
            runs.append(Piece(token, 1 + waiting))
            waiting = 0
        elif runs:
            runs[-1] = Piece(runs[-1].text, runs[-1].num_tokens + 1)
        else:
            waiting += 1
    return runs


def peak_memory(report: Mapping[str, Any], training: Mapping[str, Any]) -> float | None:
    """The most memory of a device that a training took, or of its process where there was no GPU."""
    of_step = (step["peak_memory_bytes"] for step in report["steps"] if step["name"] == training["name"])
    return training["figures"].get("device_memory_bytes") or next(of_step, None)


def role_of(report: Mapping[str, Any], model: str) -> str:
    """Whether a model is the base, the adapted one, or between them."""
    if model == BASE:
        return "base"
    return "adapted" if model == adapted_model(report) else "between"


def environments(steps: Iterable[Mapping[str, Any]]) -> list[Environment]:
    """Steps put together that ran on the same machine with the same versions."""
    found: list[Environment] = []
    for step in steps:
        machine, versions = step.get("machine", {}), step.get("versions", {})
        for environment in found:
            if (environment.machine, environment.versions) == (machine, versions):
                environment.steps.append(step["name"])
                break
        else:
            found.append(Environment([step["name"]], machine, versions))
    return found


def _yes(holds: bool) -> tuple[str, bool]:
    return ("yes" if holds else "no"), holds
