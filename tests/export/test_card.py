import pytest
from ruamel.yaml import YAML

from lingraft.export import card

RESULTS = "| | Base |\n|---|---|\n| Polish | 1.5 |\n"
RECIPE = "# A recipe.\nlanguage: pl\n"


def parts(text: str) -> tuple[dict, str]:
    opening, head, body = text.split("---\n", 2)
    assert opening == ""
    return YAML(typ="safe").load(head), body


def test_card() -> None:
    head, body = parts(card.write("mistralai/Mistral-7B-v0.1", "pl", "Polish", RESULTS, "apache-2.0", RECIPE))
    assert head == {
        "language": "pl",
        "license": "apache-2.0",
        "base_model": "mistralai/Mistral-7B-v0.1",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["lingraft", "continued-pretraining"],
    }
    assert body.startswith("\n# mistralai/Mistral-7B-v0.1 adapted to Polish\n\n| | Base |")
    assert RESULTS in body
    assert body.endswith(f"```yaml\n{RECIPE}```\n")


def test_a_new_model_has_no_base() -> None:
    head, body = parts(card.write(None, "pl", "Polish", RESULTS, None, RECIPE))
    assert "base_model" not in head
    assert head["tags"] == ["lingraft", "pretraining"]
    assert body.startswith("\n# Polish from scratch\n")


def test_no_license_is_no_line() -> None:
    head, _ = parts(card.write("base", "pl", "Polish", "", None, RECIPE))
    assert "license" not in head


@pytest.mark.parametrize(
    ("base", "title"),
    [
        ("a: b # c", "a: b # c"),
        ("x\n---\nlicense: mit", "x --- license: mit"),
        ('"quoted" \\ name', '"quoted" \\\\ name'),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("[a](http://b) *c* `d`_e", r"\[a\](http://b) \*c\* \`d\`\_e"),
        ("żółć/模型", "żółć/模型"),
        ("no", "no"),
    ],
)
def test_hostile_names(base: str, title: str) -> None:
    head, body = parts(card.write(base, "pl", "Polish", RESULTS, None, RECIPE))
    assert head["base_model"] == " ".join(base.split())
    assert "license" not in head
    assert body.splitlines()[1] == f"# {title} adapted to Polish"


def test_a_recipe_does_not_leave_its_fence() -> None:
    recipe = "# ```\n# <b>````</b>\nlanguage: pl"
    assert card.write("base", "pl", "Polish", "", None, recipe).endswith(f"\n`````yaml\n{recipe}\n`````\n")


def test_a_model_that_answers_says_how_it_was_made_to_and_how_it_is_asked() -> None:
    told = ["Fine-tuned on 194 Polish conversations.", "Chat template: zephyr."]
    head, body = parts(card.write("base", "pl", "Polish", RESULTS, None, RECIPE, trained=told, answers=True))
    assert head["tags"] == ["lingraft", "continued-pretraining", "conversational"]
    assert f"{RESULTS}\nFine-tuned on 194 Polish conversations.\n\nChat template: zephyr.\n\n## Use" in body
    snippet = body.split("```python\n")[1].split("```")[0]
    compile(snippet, "snippet", "exec")
    assert "apply_chat_template(messages, add_generation_prompt=True" in snippet


def test_the_snippet_of_a_card_runs(tmp_path, capsys) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {word: place for place, word in enumerate(["<s>", "</s>", "<unk>", "user", ".", "...", "assistant", ":"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }} : {{ m.content }} {% endfor %}assistant :"
    tokenizer.save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=512, **sizes))
    model.save_pretrained(tmp_path)
    capsys.readouterr()
    body = card.write("base", "pl", "Polish", "", None, RECIPE, answers=True)
    snippet = body.split("```python\n")[1].split("```")[0]
    exec(snippet.replace("this/folder", str(tmp_path)).replace("max_new_tokens=256", "max_new_tokens=4"), {})
    assert capsys.readouterr().out.endswith("\n")
