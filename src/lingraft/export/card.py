"""The model card: what the model is, what was measured, how it was made."""

import re
from collections.abc import Sequence

from huggingface_hub import ModelCardData

ASKING = """
messages = [{"role": "user", "content": "..."}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**prompt, max_new_tokens=256)[0, prompt["input_ids"].shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))
"""


def write(
    base: str | None,
    language: str,
    language_name: str,
    results: str,
    license: str | None,
    recipe: str,
    *,
    trained: Sequence[str] = (),
    answers: bool = False,
) -> str:
    """A card in Hugging Face form; `language` is its BCP 47 tag, `results` Markdown, measured in this run.

    `trained` are paragraphs of Markdown on how the model was made to answer; `answers`: it has a chat template.
    Without a base it is that of a model trained from scratch.
    """
    base = None if base is None else " ".join(base.split())
    title = f"{language_name} from scratch" if base is None else f"{base} adapted to {language_name}"
    title = re.sub(r"([\\`*_<>\[\]&])", r"\\\1", title)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", recipe)), default=0))
    fence = fence.rjust(3, "`")
    made = "".join(f"\n{told}\n" for told in trained)
    head = ModelCardData(
        language=language,
        license=license,
        base_model=base,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=[
            "lingraft",
            "pretraining" if base is None else "continued-pretraining",
            *(["conversational"] if answers else []),
        ],
    )
    return f"""---
{head.to_yaml()}
---

# {title}

{results}{made}
## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("this/folder")
model = AutoModelForCausalLM.from_pretrained("this/folder")
{ASKING if answers else ""}```

## Made by this recipe

{fence}yaml
{recipe.strip()}
{fence}
"""
