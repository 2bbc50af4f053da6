"""From the settings in a recipe to the model that is asked."""

from collections.abc import Iterable
from pathlib import Path

from lingraft.core.asked import EndpointSettings, LocalSettings

from .endpoint import Endpoint
from .respondent import Reply, Respondent


def respondent(settings: EndpointSettings | LocalSettings, folder: Path, *, whole: bool = True) -> Respondent:
    """The model that the settings name; `folder` is where a relative path begins.

    It is called as in the settings. With `whole` an answer that was cut off is a failed reply.

    Raises InputError for an address that is none, a key that is not set, and a folder without a chat model.
    """
    if isinstance(settings, LocalSettings):
        from .local import Local  # with torch, which no endpoint needs

        values = settings.model_dump(exclude={"model"})
        return Local(folder / Path(settings.model).expanduser(), whole=whole, name=settings.model, **values)
    values = settings.model_dump(exclude={"endpoint", "model", "price_in", "price_out"})
    return Endpoint(settings.endpoint, settings.model, whole=whole, **values)


def tokens_of(replies: Iterable[Reply]) -> tuple[int, int]:
    """Read and written by all that say how many."""
    counted = [reply.tokens for reply in replies if reply.tokens is not None]
    return sum(read for read, _ in counted), sum(written for _, written in counted)
