"""The configuration: frozen values, and the way from a TOML file to them.

A bad file is `ConfigErrors`: everything that is wrong with it, each error with its place.
"""

from __future__ import annotations

from fusiond.config.errors import ConfigError, ConfigErrors
from fusiond.config.loading import Reading, candidates, load, locate
from fusiond.config.secret import Secret, SecretError
from fusiond.config.tree import (
    Config,
    FusionConfig,
    KeyKind,
    LlamaCppConfig,
    MemberConfig,
    OllamaConfig,
    OpenAIConfig,
    OpenRouterConfig,
    Place,
    Price,
    ProviderConfig,
    Seat,
    ServerConfig,
    StrategyName,
)

__all__ = [
    "Config",
    "ConfigError",
    "ConfigErrors",
    "FusionConfig",
    "KeyKind",
    "LlamaCppConfig",
    "MemberConfig",
    "OllamaConfig",
    "OpenAIConfig",
    "OpenRouterConfig",
    "Place",
    "Price",
    "ProviderConfig",
    "Reading",
    "Seat",
    "Secret",
    "SecretError",
    "ServerConfig",
    "StrategyName",
    "candidates",
    "load",
    "locate",
]
