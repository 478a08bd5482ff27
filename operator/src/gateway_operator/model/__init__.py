"""The DiscordGateway resource as users write it, and what is wrong with one."""

from .gateway import API_VERSION, KIND, MAX_SHARDS, Delivery, DiscordGateway, SecretRef, Spec, Template
from .intents import INTENTS, UnknownIntentError, intents_value, privileged_intents
from .problems import ManifestError, Problem
from .reading import load_manifest, parse_manifest

__all__ = [
    "API_VERSION",
    "INTENTS",
    "KIND",
    "MAX_SHARDS",
    "Delivery",
    "DiscordGateway",
    "ManifestError",
    "Problem",
    "SecretRef",
    "Spec",
    "Template",
    "UnknownIntentError",
    "intents_value",
    "load_manifest",
    "parse_manifest",
    "privileged_intents",
]
