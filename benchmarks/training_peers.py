"""Tokens a second of a peer's own continued pretraining, and what of the text reaches the model there.

    PEER_PYTHON benchmarks/training_peers.py trl|litgpt|llamafactory MODEL WORK VARIANT

PEER_PYTHON is an interpreter that has the peer installed; lingraft need not be. WORK is a folder that
training_speed.prepare has made. The peer reads, tokenizes and packs the text itself, and trains as many steps of as
many tokens as lingraft does. Prints a JSON object.
"""

import json
import sys
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "trl": {
        "wrapped": {"packing_strategy": "wrapped"},
        "wrapped, compiled": {"packing_strategy": "wrapped", "torch_compile": True},
        "wrapped, compiled, eager": {
            "packing_strategy": "wrapped",
            "torch_compile": True,
            "model_init_kwargs": {"attn_implementation": "eager"},
        },
        "bfd_split, one sequence at a time": {"packing_strategy": "bfd_split", "per_device_train_batch_size": 1},
    },
    "litgpt": {"compiled": {}, "eager": {"disable": True}},
    "llamafactory": {
        "packing": {},
        "packing, compiled": {"torch_compile": True},
        "packing, compiled, eager": {"torch_compile": True, "flash_attn": "disabled"},
    },
}


def reached(work: Path, shown: Iterable[Any], everything: Iterable[Any]) -> dict[str, Any]:
    """The share of padding in the sequences shown, and of the text's tokens lost when all of it is gone through once.

    Both are sequences of token ids. A token counts as lost when it comes less often than in the documents, each
    framed by BOS and EOS; as added when it comes more often (those of padding apart).
    """
    described = json.loads((work / "work.json").read_text(encoding="utf-8"))
    expected = np.load(work / "tokens.npy", allow_pickle=False)
    given = counted(shown, len(expected))
    once = counted(everything, len(expected))
    pad = described["pad_id"]
    missing = np.maximum(expected - once, 0)
    added = np.maximum(once - expected, 0)
    added[pad] = 0
    return {
        "positions": int(given.sum()),
        "padding_share": float(given[pad] / given.sum()),
        "padding_share_once_through": float(once[pad] / once.sum()),
        "text_tokens": int(expected.sum()),
        "lost_tokens": int(missing.sum()),
        "of_them_bos": int(missing[described["bos_id"]]),
        "of_them_eos": int(missing[described["eos_id"]]),
        "lost_share": float(missing.sum() / expected.sum()),
        "added_tokens": int(added.sum()),
    }


def result(
    work: Path, times: list[tuple[float, float]], shown: Iterable[Any], everything: Iterable[Any]
) -> dict[str, Any]:
    """The rates over the second half of the steps, of tokens that are no padding, and the counts of `reached`.

    Tokens per second of CPU time are what a machine that others use too can say; threads that wait for each other
    spend it as well, so they are for one thread.
    """
    found = reached(work, shown, everything)
    steps = json.loads((work / "work.json").read_text(encoding="utf-8"))["steps"]
    step_tokens = found["positions"] * (1 - found["padding_share"]) / steps
    wall, cpu = (
        step_tokens / median([after[kind] - before[kind] for before, after in pairwise(times)][len(times) // 2 :])
        for kind in (0, 1)
    )
    return {"tokens_per_second": wall, "tokens_per_cpu_second": cpu, "steps": len(times), **found}


def clock() -> list[tuple[float, float]]:
    """The time on the wall and of this process's CPU at the end of every step of an AdamW made from now on."""
    from torch.optim import AdamW

    times: list[tuple[float, float]] = []
    step = AdamW.step

    def timed(self: Any, *arguments: Any, **others: Any) -> Any:
        done = step(self, *arguments, **others)
        times.append((time.perf_counter(), time.process_time()))
        return done

    AdamW.step = timed
    return times


def counted(sequences: Iterable[Any], size: int) -> np.ndarray:
    counts = np.zeros(size, dtype=np.int64)
    for ids in sequences:
        counts += np.bincount(np.asarray(ids).reshape(-1), minlength=size)
    return counts


def watching() -> Any:
    """A callback of Hugging Face's Trainer that notes the ids that reach the model."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def __init__(self) -> None:
            self.shown: list[np.ndarray] = []
            self.everything: list[np.ndarray] = []

        def on_train_begin(self, *_: object, model: Any, **__: object) -> None:
            table = model.get_input_embeddings()
            self._hook = table.register_forward_pre_hook(lambda _, ids: self.shown.append(ids[0].numpy().copy()))

        def on_train_end(self, *_: object, train_dataloader: Any, **__: object) -> None:
            self._hook.remove()
            self.everything = [batch["input_ids"].numpy() for batch in train_dataloader]

    return Watch()


def trl(model: Path, work: Path, job: dict[str, Any], variant: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    variant = {"per_device_train_batch_size": job["batch_sequences"], **variant}
    loading = {"dtype": torch.float32, **variant.pop("model_init_kwargs", {})}
    watch = watching()
    with TemporaryDirectory() as place:
        settings = SFTConfig(
            output_dir=place,
            gradient_accumulation_steps=job["batch_sequences"] // variant["per_device_train_batch_size"],
            max_steps=job["steps"],
            max_length=job["sequence_tokens"],
            packing=True,
            learning_rate=job["lr"],
            weight_decay=job["weight_decay"],
            max_grad_norm=job["max_grad_norm"],
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            bf16=True,
            gradient_checkpointing=False,
            logging_steps=job["steps"],
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=job["seed"],
            **variant,
        )
        trainer = SFTTrainer(
            AutoModelForCausalLM.from_pretrained(model, **loading),
            args=settings,
            train_dataset=load_dataset(
                "json", data_files=str(work / "text.json"), split="train", cache_dir=f"{place}/c"
            ),
            processing_class=AutoTokenizer.from_pretrained(model),
            callbacks=[watch],
        )
        trainer.train()
    return watch.shown, watch.everything


def llamafactory(model: Path, work: Path, job: dict[str, Any], variant: dict[str, Any]) -> tuple[Any, Any]:
    from llamafactory.train.tuner import run_exp

    watch = watching()
    with TemporaryDirectory() as place:
        described = {"text": {"file_name": str(work / "text.json"), "columns": {"prompt": "text"}}}
        Path(place, "dataset_info.json").write_text(json.dumps(described), encoding="utf-8")
        settings = {
            "stage": "pt",
            "do_train": True,
            "model_name_or_path": str(model),
            "finetuning_type": "full",
            "flash_attn": "sdpa",
            "disable_gradient_checkpointing": True,
            "dataset_dir": place,
            "dataset": "text",
            "template": "empty",
            "cutoff_len": job["sequence_tokens"] + 1,  # it takes one off when it packs
            "packing": True,
            "overwrite_cache": True,
            "output_dir": f"{place}/out",
            "per_device_train_batch_size": job["batch_sequences"],
            "gradient_accumulation_steps": 1,
            "max_steps": job["steps"],
            "learning_rate": job["lr"],
            "weight_decay": job["weight_decay"],
            "max_grad_norm": job["max_grad_norm"],
            "lr_scheduler_type": "constant",
            "optim": "adamw_torch_fused",
            "bf16": True,
            "logging_steps": job["steps"],
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "seed": job["seed"],
            **variant,
        }
        run_exp(settings, callbacks=[watch])
    return watch.shown, watch.everything


def litgpt(model: Path, work: Path, job: dict[str, Any], variant: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from litgpt import pretrain
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.config import Config
    from litgpt.data import TextFiles
    from litgpt.scripts.convert_hf_checkpoint import copy_weights_hf_llama
    from safetensors.torch import load_file

    sys.argv[1:] = [model.name]  # litgpt keeps with the model what it finds on the command line
    torch._dynamo.config.disable = variant.get("disable", False)
    theirs = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config = Config(
        name=model.name,
        block_size=theirs["max_position_embeddings"],
        padded_vocab_size=theirs["vocab_size"],
        vocab_size=theirs["vocab_size"],
        n_layer=theirs["num_hidden_layers"],
        n_head=theirs["num_attention_heads"],
        n_query_groups=theirs["num_key_value_heads"],
        head_size=theirs["head_dim"],
        n_embd=theirs["hidden_size"],
        intermediate_size=theirs["intermediate_size"],
        norm_eps=theirs["rms_norm_eps"],
        rope_base=int(theirs["rope_parameters"]["rope_theta"]),
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
    )
    loaders: list[Any] = []

    class Kept(TextFiles):
        def train_dataloader(self) -> Any:
            loaders.append(super().train_dataloader())
            return loaders[-1]

    # It keeps its tokens beside the text files, and finds them there in the next round.
    with TemporaryDirectory() as place:
        start = Path(place, "start")
        start.mkdir()
        weights: dict[str, Any] = {}
        copy_weights_hf_llama(config, {}, weights, load_file(model / "model.safetensors"), dtype=torch.float32)
        torch.save(weights, start / "lit_model.pth")
        pretrain.setup(
            model.name,
            model_config=config,
            out_dir=Path(place, "out"),
            precision="bf16-mixed",
            initial_checkpoint_dir=start,
            tokenizer_dir=model,
            data=Kept(work / "texts", work / "held-out-texts", seed=job["seed"], num_workers=1),
            train=TrainArgs(
                save_interval=None,
                log_interval=job["steps"],
                global_batch_size=job["batch_sequences"],
                micro_batch_size=job["batch_sequences"],
                max_tokens=job["steps"] * job["batch_sequences"] * job["sequence_tokens"],
                max_seq_length=job["sequence_tokens"],
                max_norm=job["max_grad_norm"],
                lr_warmup_steps=0,
                min_lr=job["lr"],
                tie_embeddings=True,
            ),
            eval=EvalArgs(interval=10**6, max_iters=1, final_validation=False),
            optimizer={
                "class_path": "__main__.Fused",
                "init_args": {"lr": job["lr"], "weight_decay": job["weight_decay"], "fused": True},
            },
            devices=1,
            logger_name="csv",
            seed=job["seed"],
        )
        everything = [batch.numpy() for batch in loaders[0]]
    return [batch[:, :-1] for batch in everything[: job["steps"]]], everything


def main(peer: str, model: Path, work: Path, variant: str) -> None:
    job = json.loads((work / "work.json").read_text(encoding="utf-8"))
    run = {"trl": trl, "litgpt": litgpt, "llamafactory": llamafactory}[peer]
    times = clock()
    shown, everything = run(model.resolve(), work, job, VARIANTS[peer][variant])
    print(json.dumps(result(work, times, shown, everything)))


if __name__ == "__main__":
    peer, model, work, variant = sys.argv[1:]
    if peer == "litgpt":
        from torch.optim import AdamW

        class Fused(AdamW):
            """litgpt turns `fused` off on a CPU in every optimizer whose signature has it."""

            def __init__(self, params: Any, lr: float, weight_decay: float, **others: Any) -> None:
                super().__init__(params, lr=lr, weight_decay=weight_decay, **others)

    main(peer, Path(model), Path(work), variant)
