"""What the report collects from the steps of a run: every step of a kind, under its name."""

import json
from pathlib import Path
from typing import Any

from lingraft.core.stage import Input, Job, Settings
from lingraft.report import write
from lingraft.stages import export, report

CURVES = {"curve": [], "held_out_curve": []}


def made(kind: str, name: str, figures: dict[str, Any], folder: Path = Path(), **reads: tuple[str, str]) -> Input:
    """A step whose config names its inputs as they were called when it was made."""
    manifest = {
        "stage_version": 1,
        "fingerprint": f"mark of {name}",
        "config": {key: called for key, (called, _) in reads.items()},
        "inputs": {called: f"mark of {read}" for called, read in reads.values()},
        "seconds": 2.0,
        "finished": "2026-11-21T16:26:55+00:00",
        "machine": {},
        "versions": {},
        "peak_memory_bytes": 1,
    }
    return Input(kind, f"mark of {name}", folder, figures, manifest)


def trained(kind: str, name: str, begun: str, *, called: str | None = None) -> Input:
    figures = {"train": "full", "steps": 3, "template": {"name": name, "takes_system": True}, "streams": {}, **CURVES}
    figures |= {"bytes": 900, "parameters": 90}
    figures |= {"held_out": {}, "loss": "dpo", "beta": 0.1} if kind == "dpo" else {"held_out": {}}
    return made(kind, name, figures, model=(called or begun, begun))


def judged(folder: Path, name: str, answers: int) -> Input:
    (folder / name).mkdir()
    rows = [
        {"id": str(n), "prompt": [{"role": "user", "content": "?" * 2000}], "answers": {"base": f"{n}", "sft": ""}}
        | {"cut": {"base": n == 0, "sft": False}}
        for n in range(answers)
    ]
    (folder / name / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    figures = {"models": ["base", "sft"], "prompts": answers, "answered": answers, "answers": {"rows": []}}
    return made("judge", name, {**figures, "asked_in": {}}, folder / name)


def run_of(folder: Path, **inputs: Input) -> Job:
    steps = {"base": made("base", "base", {"model": "example/base", "parameters": 10}), **inputs}
    config = report.Report(steps=list(steps))
    return Job(config, steps, folder, Settings("pl", "en", 17), folder, "language: pl\n")


def test_no_step_stands_in_for_another_of_its_kind(tmp_path: Path) -> None:
    streams = {"streams": {}, "quarantined": {}, "sources": []}
    job = run_of(
        tmp_path,
        conversations=made("conversations", "conversations", streams),
        more=made("translate", "more", {**streams, "n": 2}),
        pairs=made("preferences", "pairs", {**streams, "n": 3}),
        pretrain=trained("pretrain", "pretrain", "base"),
        sft=trained("sft", "sft", "pretrain"),
        small=trained("sft", "small", "pretrain", called="under another name"),
        dpo=trained("dpo", "dpo", "small"),
        judge=judged(tmp_path, "judge", 3),
        again=judged(tmp_path, "again", 30),
    )
    found = report.collect(job)
    assert [(one["name"], one["kind"], one["from"]) for one in found["training"]] == [
        ("pretrain", "pretrain", "base"),
        ("sft", "sft", "pretrain"),
        ("small", "sft", "pretrain"),
        ("dpo", "dpo", "small"),
    ]
    assert [(one["name"], one["kind"], one["figures"].get("n")) for one in found["records"]] == [
        ("conversations", "conversations", None),
        ("more", "translate", 2),
        ("pairs", "preferences", 3),
    ]
    assert [(one["name"], len(one["samples"])) for one in found["judgements"]] == [("judge", 3), ("again", 6)]
    assert not {"sft", "dpo", "judge", "conversations", "translate", "preferences"} & set(found)
    assert "curve" not in found["training"][1]["figures"]
    assert json.dumps(found, allow_nan=False)
    assert write(found, tmp_path).exists()


def test_samples_are_spread_and_cut(tmp_path: Path) -> None:
    (found,) = report.collect(run_of(tmp_path, judge=judged(tmp_path, "judge", 30)))["judgements"]
    assert [one["answers"]["base"]["text"] for one in found["samples"]] == ["0", "5", "10", "15", "20", "25"]
    assert found["samples"][0]["answers"]["base"] == {"text": "0", "characters": 1, "cut": True}
    assert len(found["samples"][0]["prompt"][0]["content"]) == report.SAMPLE_CHARACTERS + 2


def test_a_model_trained_from_one_that_is_not_shown_has_no_beginning(tmp_path: Path) -> None:
    assert report.collect(run_of(tmp_path, sft=trained("sft", "sft", "elsewhere")))["training"][0]["from"] is None


def test_the_card_tells_of_what_the_model_went_through_alone(tmp_path: Path) -> None:
    steps = {
        "sft": trained("sft", "sft", "pretrain"),
        "other": trained("sft", "other", "pretrain"),
        "dpo": trained("dpo", "dpo", "sft", called="under another name"),
    }
    config = export.Export(model="dpo", corpus="corpus", trainings=list(steps))
    job = Job(config, steps, tmp_path, Settings("pl", "en", 17), tmp_path, "")
    found = export._trainings(job)
    assert [(one["kind"], one["figures"]["template"]["name"]) for one in found] == [("sft", "sft"), ("dpo", "dpo")]
