"""The models that recipes name, ready to be asked."""

from collections.abc import Iterable
from pathlib import Path

from lingraft.core.respondents import NO_EFFECT, EndpointSettings, LocalSettings, RespondentSettings

from .respondent import Reply, Respondent

__all__ = ["NO_EFFECT", "EndpointSettings", "LocalSettings", "RespondentSettings", "respondent", "tokens_of"]


def respondent(settings: RespondentSettings, folder: Path, *, whole: bool = True) -> Respondent:
    """The model that the settings name; `folder` is where a relative path begins.

    With `whole` an answer that was cut off is a failed reply.

    Raises InputError for an address that is none, a key that is not set, and a folder without a chat model.
    """
    if isinstance(settings, LocalSettings):
        from .local import Local  # torch is not needed to ask an endpoint

        values = settings.model_dump(exclude={"model"})
        return Local(folder / settings.model, whole=whole, **values)
    from .endpoint import Endpoint

    values = settings.model_dump(exclude={"endpoint", "model", "price_in", "price_out"})
    return Endpoint(settings.endpoint, settings.model, whole=whole, **values)


def tokens_of(replies: Iterable[Reply]) -> tuple[int, int]:
    """Read and written by all that say how many."""
    counted = [reply.tokens for reply in replies if reply.tokens is not None]
    return sum(read for read, _ in counted), sum(written for _, written in counted)
