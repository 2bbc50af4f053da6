"""The model card: what the model is, what was measured, how it was made."""

import re

from huggingface_hub import ModelCardData


def write(base: str | None, language: str, language_name: str, results: str, license: str | None, recipe: str) -> str:
    """A card in Hugging Face form; `language` is its BCP 47 tag, `results` Markdown, measured in this run.

    Without a base it is that of a model trained from scratch.
    """
    base = None if base is None else " ".join(base.split())
    title = f"{language_name} from scratch" if base is None else f"{base} adapted to {language_name}"
    title = re.sub(r"([\\`*_<>\[\]&])", r"\\\1", title)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", recipe)), default=0))
    fence = fence.rjust(3, "`")
    head = ModelCardData(
        language=language,
        license=license,
        base_model=base,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["lingraft", "pretraining" if base is None else "continued-pretraining"],
    )
    return f"""---
{head.to_yaml()}
---

# {title}

{results}
## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("this/folder")
model = AutoModelForCausalLM.from_pretrained("this/folder")
```

## Made by this recipe

{fence}yaml
{recipe.strip()}
{fence}
"""
