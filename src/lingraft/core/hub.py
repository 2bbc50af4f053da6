"""Which commit an id on the Hugging Face hub stands for."""

from pathlib import Path
from typing import Literal

from .errors import InputError


def commit(repo: str, revision: str | None, kind: Literal["model", "dataset"]) -> str:
    """The commit of a repository at a branch, tag or commit; the local cache answers where the hub is out of reach.

    Raises InputError when neither knows it.
    """
    import httpx2 as httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        return HfApi().repo_info(repo, revision=revision, repo_type=kind).sha
    except HFValidationError as error:
        raise InputError(f'"{repo}" is no id of a {kind} on the hub: {error}') from error
    except (OfflineModeIsEnabled, httpx.TransportError) as error:
        try:
            cached = snapshot_download(repo, revision=revision, repo_type=kind, local_files_only=True)
        except LocalEntryNotFoundError:
            raise InputError(
                f'the hub cannot be reached, and the {kind} "{repo}" is not in the local cache.',
                remedy=f"Check the network and HF_HUB_OFFLINE, or give the folder of a downloaded {kind}.",
            ) from error
        return Path(cached).name
    except HfHubHTTPError as error:
        raise InputError(
            f'the hub does not give the {kind} "{repo}" at revision {revision or "main"}: {error}',
            remedy="Check the id and the revision; a gated one needs `hf auth login`.",
        ) from error
