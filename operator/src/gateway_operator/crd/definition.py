"""The custom resource definition of DiscordGateway, made from the models."""

from typing import Any

import yaml

from gateway_operator.model import API_VERSION, KIND
from gateway_operator.model.gateway import Metadata, Spec

from .spec_descriptions import SPEC_DESCRIPTIONS
from .status_schema import status_schema
from .structural import Schema, structural, structural_field

PLURAL = "discordgateways"
GROUP, VERSION = API_VERSION.split("/")

_HEADER = "# Made by `make crds` from operator/src/gateway_operator: change the models there, not this file.\n"


def custom_resource_definition() -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["dgw"],
                "categories": ["discord"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.shards",
                            "statusReplicasPath": ".status.shards",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": _printer_columns(),
                    "schema": {"openAPIV3Schema": resource_schema()},
                }
            ],
        },
    }


def as_yaml() -> str:
    """The definition as it stands in crds/."""
    text: str = yaml.dump(custom_resource_definition(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return _HEADER + text


def resource_schema() -> Schema:
    """The whole resource: spec, status, and of the metadata what a definition may restrict, which is the name."""
    descriptions = SPEC_DESCRIPTIONS["DiscordGateway"]
    metadata = structural_field(Metadata, "name", SPEC_DESCRIPTIONS, "metadata.name")
    return {
        "description": descriptions[""],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": descriptions["apiVersion"], "type": "string", "maxLength": 253},
            "kind": {"description": descriptions["kind"], "type": "string", "maxLength": 63},
            "metadata": {"type": "object", "properties": {"name": metadata}},
            "spec": {"description": descriptions["spec"]} | structural(Spec, SPEC_DESCRIPTIONS, "spec"),
            "status": {"description": descriptions["status"]} | status_schema(),
        },
    }


def _printer_columns() -> list[dict[str, Any]]:
    number, text = "integer", "string"
    return [
        _column("Shards", number, ".status.shards", "Shards of the whole set"),
        _column("Ready", number, ".status.readyShards", "Shards that are connected"),
        _column("Guilds", number, ".status.guilds", "Guilds on these shards"),
        _column("Phase", text, ".status.phase", "One word for the whole"),
        _column("Epoch", number, ".status.active.epoch", "Number of the shard set, counted up by each reshard"),
        _column("Identifies", number, ".status.sessionStartLimit.remaining", "Identifies left today", wide=True),
        _column("Reason", text, '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not", wide=True),
        _column("Age", "date", ".metadata.creationTimestamp", "Since when the resource is there"),
    ]


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    """`wide`: shown by `kubectl get -o wide` alone."""
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out each time: references (`&id001`) are for machines."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 -- PyYAML's signature
        return True
