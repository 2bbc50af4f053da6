"""How a recipe says which model is asked; `ask.respondents` makes one of it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

MILLION = 1_000_000


class EndpointSettings(BaseModel):
    """A model behind an OpenAI-compatible endpoint. The key stands in an environment variable, never in a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    endpoint: str = Field(description="The address before /chat/completions: http://127.0.0.1:8000/v1.")
    model: str = Field(description="The name that the endpoint has for it.")
    key_variable: str | None = Field(None, description="The environment variable that holds the key.")
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(512, ge=1, description="Of an answer; one that is longer is a failure.")
    seed: int | None = Field(None, description="For endpoints that take one.")
    extra: dict[str, Any] = Field({}, description="More keys of the requests, as they are; null leaves one out.")
    at_once: int = Field(4, ge=1, le=256, description="Requests at once.")
    seconds: float = Field(60.0, gt=0, description="The time limit of a request.")
    retries: int = Field(5, ge=0, le=20, description="Further attempts where the trouble may pass.")
    price_in: float | None = Field(None, ge=0, description="Price of a million tokens that are read.")
    price_out: float | None = Field(None, ge=0, description="Price of a million tokens that are written.")

    def cost(self, read: float, written: float) -> float | None:
        """Of so many tokens; None where the prices are not known."""
        if self.price_in is None or self.price_out is None:
            return None
        return (read * self.price_in + written * self.price_out) / MILLION


class LocalSettings(BaseModel):
    """A chat model in a folder, asked on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: str = Field(description="Its folder, beside the recipe.")
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(512, ge=1, description="Of an answer; one that is longer is a failure.")
    context_tokens: int | None = Field(None, ge=32, description="By default as many as the model has positions for.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")

    def cost(self, read: float, written: float) -> float | None:
        """None: what a machine of one's own costs is not known."""
        return None


def by_key(*kinds: tuple[str, str]) -> Discriminator:
    """Tells settings by the key that only one kind has, the first that is there: (key, tag) of each."""

    def tag(value: Any) -> str | None:
        has = value.__contains__ if isinstance(value, dict) else lambda key: getattr(value, key, None) is not None
        return next((tag for key, tag in kinds if has(key)), None)

    keys = ", ".join(f"`{key}`" for key, _ in kinds)
    return Discriminator(tag, custom_error_type="no_such_kind", custom_error_message=f"give one of {keys}")


AskedSettings = Annotated[
    Annotated[EndpointSettings, Tag("endpoint")] | Annotated[LocalSettings, Tag("model")],
    by_key(("endpoint", "endpoint"), ("model", "model")),
]
NO_EFFECT = ("key_variable", "at_once", "seconds", "retries", "price_in", "price_out")
"""Settings of an endpoint that do not change what is answered."""
