"""The model card: what the model is, what was measured, how it was made."""

from huggingface_hub import ModelCardData

from lingraft.corpus.language import Language


def write(base: str, language: Language, results: str, license: str | None, recipe: str) -> str:
    """A card in Hugging Face form; `results` is Markdown, every figure in it measured in this run."""
    head = ModelCardData(
        language=language.tag,
        license=license,
        base_model=base,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["lingraft", "continued-pretraining"],
    )
    return f"""---
{head.to_yaml()}
---

# {base} adapted to {language.name}

{results}
## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("this/folder")
model = AutoModelForCausalLM.from_pretrained("this/folder")
```

## Made by this recipe

```yaml
{recipe.strip()}
```
"""
