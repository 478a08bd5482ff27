"""`make crds`: writes into the repository the definition, the reference of its fields, and the chart's part of both."""

import json
import sys
from pathlib import Path

import yaml

from .chart import CHART, as_template, with_values_table
from .definition import as_yaml
from .reference import as_markdown

DEFINITION = Path("crds/discordgateways.yaml")
REFERENCE = Path("docs/manifest.md")
CHART_DEFINITION = Path(CHART, "templates/crds.yaml")
CHART_README = Path(CHART, "README.md")


def main(root: Path) -> None:
    """Write what the models alone give."""
    definition = as_yaml()
    _write(root / DEFINITION, definition)
    _write(root / REFERENCE, as_markdown())
    _write(root / CHART_DEFINITION, as_template(definition))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def chart_readme(root: Path) -> str:
    """The chart's README as it has to be, by the chart's schema and defaults in `root`."""
    schema = json.loads((root / CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((root / CHART / "values.yaml").read_text())
    return with_values_table((root / CHART_README).read_text(), schema, defaults)


if __name__ == "__main__":
    repository = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    main(repository)
    _write(repository / CHART_README, chart_readme(repository))
