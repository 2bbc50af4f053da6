"""What the recipes of recipes/paper would take, on 8 H100 and on the hardware of each paper.

    python benchmarks/paper_plans.py [--only NAME]

Neither weights nor texts nor a network are needed: of a base its config is enough, and those of the bases are what
transformers documents as its defaults ("a similar configuration to that of the LLaMA-7B", Mistral-7B-v0.1,
Mixtral-8x7B). Writes benchmarks/results/systems/plans.json.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from record import record

from lingraft.core.devices import DEVICES, Target
from lingraft.core.plan import load_and_plan
from lingraft.core.training_table import kilowatt_hours
from lingraft.stages import table

EIGHT = ("h100", 8, ())
HARDWARE = {
    # What SambaLingo and Beyond English were trained on is not published; the A100 are ours, beside the H100 of all.
    "paper/sambalingo-hungarian": (EIGHT, ("a100-80gb", 64, ())),
    "paper/beyond-english": (EIGHT, ("a100-80gb", 8, ())),
    "paper/design-choices-hindi": (EIGHT, ("a40", 4, ())),
    "paper/curie-polish": (EIGHT, ("rtx-6000-ada", 1, ()), ("rtx-4090", 1, ())),
    "paper/chinese-mixtral": (EIGHT, ("a40", 48, ()), ("a40", 48, ("pretrain.optimizer=paged_adamw_8bit",))),
}
COMMIT = 40 * "0"


def cache(folder: Path) -> None:
    """The configs as the hub's cache has them."""
    from transformers import LlamaConfig, MistralConfig, MixtralConfig

    configs = {
        "huggyllama/llama-7b": LlamaConfig(dtype="bfloat16"),
        "meta-llama/Llama-2-7b-hf": LlamaConfig(max_position_embeddings=4096, dtype="bfloat16"),
        "mistralai/Mistral-7B-v0.1": MistralConfig(dtype="bfloat16"),
        "mistralai/Mixtral-8x7B-v0.1": MixtralConfig(dtype="bfloat16"),
    }
    for name, config in configs.items():
        repository = folder / f"models--{name.replace('/', '--')}"
        config.save_pretrained(repository / "snapshots" / COMMIT)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")


def plans(name: str, device: str, number: int, overrides: tuple[str, ...], store: Path) -> dict[str, dict[str, Any]]:
    """By step what its training takes."""
    _, steps = load_and_plan(name, table(), overrides, store, target=Target(DEVICES[device], number))
    found = {}
    for step in steps:
        if (training := step.forecast.training) is None:
            continue
        seconds = step.forecast.seconds
        found[step.name] = {
            "tokens": step.forecast.tokens,
            "bytes_per_device": training.device_bytes,
            "fits": training.fits,
            "would_fit": list(training.alternatives),
            "sharded": training.sharded,
            "tokens_per_second": training.tokens_per_second,
            "speed_from": training.speed_from,
            "hours": None if seconds is None else seconds / 3600,
            "device_hours": None if seconds is None else number * seconds / 3600,
            "kilowatt_hours_at_most": kilowatt_hours(training, seconds),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=HARDWARE)
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Before anything imports the hub's library, which reads them once.
        os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(folder / "hub"), LINGRAFT_DATA=str(folder / "no-texts"))
        cache(folder / "hub")
        for recipe, hardware in HARDWARE.items():
            if only not in (None, recipe):
                continue
            cells = []
            for device, number, overrides in hardware:
                for step, found in plans(recipe, device, number, overrides, folder / "store").items():
                    cells.append({"device": device, "devices": number, "overrides": overrides, "step": step, **found})
                    hours = "?" if found["hours"] is None else f"{found['hours']:.1f} h"
                    size = f"{found['bytes_per_device'] / 1e9:.1f} GB"
                    print(recipe, number, device, *overrides, step, size, hours, flush=True)
            record("systems/plans", recipe, cells)


if __name__ == "__main__":
    main()
