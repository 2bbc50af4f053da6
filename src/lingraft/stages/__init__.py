"""The table of stages, in the order in which data flows. Each file here is one stage: config, check, run."""

import importlib

from lingraft.core.stage import Stage

KINDS = {
    "base": "lingraft.stages.base:STAGE",
    "corpus": "lingraft.stages.corpus:STAGE",
    "tokenizer": "lingraft.stages.tokenizer:STAGE",
    "graft": "lingraft.stages.graft:STAGE",
    "pack": "lingraft.stages.pack:STAGE",
    "pretrain": "lingraft.stages.pretrain:STAGE",
    "chat_vector": "lingraft.stages.chat_vector:STAGE",
    "conversations": "lingraft.stages.conversations:STAGE",
    "preferences": "lingraft.stages.preferences:STAGE",
    "translate": "lingraft.stages.translate:STAGE",
    "translate_preferences": "lingraft.stages.translate:PREFERENCES",
    "sft": "lingraft.stages.sft:STAGE",
    "on_policy": "lingraft.stages.on_policy:STAGE",
    "dpo": "lingraft.stages.dpo:STAGE",
    "evaluate": "lingraft.stages.evaluate:STAGE",
    "judge": "lingraft.stages.judge:STAGE",
    "analyze": "lingraft.stages.analyze:STAGE",
    "export": "lingraft.stages.export:STAGE",
    "report": "lingraft.stages.report:STAGE",
}

# What the processes of the steps need and is slow to import: the fork server has it ready for all of them.
PRELOAD = (
    "lingraft.core.quiet",
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.trainer",
    "pyarrow.parquet",
    "pandas",
)


def table() -> dict[str, Stage]:
    """Every stage by its kind."""
    found = {}
    for kind, place in KINDS.items():
        module, _, name = place.partition(":")
        found[kind] = getattr(importlib.import_module(module), name)
    return found
