"""Reads the manifest a user names, and words what is wrong with it a line a problem."""

from pathlib import Path

from gateway_operator.model import DiscordGateway, ManifestError, load_manifest

from .errors import UserError, in_file


def read_manifest(file: Path) -> DiscordGateway:
    """The gateway that `file` describes; raises UserError."""
    try:
        return load_manifest(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"cannot read {file}: it is not UTF-8 text") from None
    except ManifestError as error:
        raise in_file(str(file), str(error).splitlines()) from None
