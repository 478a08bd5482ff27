"""The custom resource definition for Kubernetes, made from the models. Nothing that runs a gateway imports this."""

from .definition import as_yaml, custom_resource_definition

__all__ = ["as_yaml", "custom_resource_definition"]
