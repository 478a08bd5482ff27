"""What the chart holds of the models is what the models give."""

import re
from pathlib import Path

import yaml

from gateway_operator.crd import as_yaml
from gateway_operator.crd.__main__ import CHART_DEFINITION, CHART_README, DEFINITION, chart_readme, main
from gateway_operator.crd.chart import as_template

ROOT = Path(__file__).parents[3]


def test_the_charts_definition_is_what_the_models_give():
    assert (ROOT / CHART_DEFINITION).read_text() == as_template(as_yaml()), f"{CHART_DEFINITION}: run `make crds`"


def test_without_its_instructions_to_helm_it_is_the_definition_in_crds():
    added = r"  labels:\n    \{\{.*?\{\{- end \}\}\n|^\{\{-.*?\n"

    bare = re.sub(added, "", (ROOT / CHART_DEFINITION).read_text(), flags=re.MULTILINE | re.DOTALL)

    assert bare == (ROOT / DEFINITION).read_text()


def test_make_crds_writes_the_charts_copy(tmp_path):
    main(tmp_path)

    assert (tmp_path / CHART_DEFINITION).read_text() == as_template(as_yaml())


def test_the_readmes_table_of_values_is_what_schema_and_defaults_give():
    assert (ROOT / CHART_README).read_text() == chart_readme(ROOT), f"{CHART_README} is out of date: run `make crds`"


def test_chart_image_examples_and_packages_have_one_version():
    chart = yaml.safe_load((ROOT / "charts/discord-gateway-operator/Chart.yaml").read_text())
    [image] = yaml.safe_load((ROOT / "examples/kubernetes/kustomization.yaml").read_text())["images"]
    packages = {
        re.search(r'^version = "(.+)"$', (ROOT / name / "pyproject.toml").read_text(), re.MULTILINE)[1]
        for name in ("operator", "shardpod", "simulator")
    }

    assert packages == {chart["version"]} == {chart["appVersion"]} == {image["newTag"]}
