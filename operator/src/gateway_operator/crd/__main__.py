"""`make crds`: writes the definition, and the reference of its fields, into the repository."""

import sys
from pathlib import Path

from .definition import as_yaml
from .reference import as_markdown

DEFINITION = Path("crds/discordgateways.yaml")
REFERENCE = Path("docs/manifest.md")


def main(root: Path) -> None:
    for name, text in ((DEFINITION, as_yaml()), (REFERENCE, as_markdown())):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
