"""Who may come in, and with which secrets: the gate of a configuration, and what tells that a secret has changed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from hashlib import sha256

from fusiond.config import Config, OpenAIConfig, OpenRouterConfig, Secret, SecretError
from fusiond.config.address import TcpAddress, parse_address
from fusiond.gate import Gate


def gate_of(config: Config, listen: Iterable[str]) -> Gate:
    """The gate of a configuration: with tokens, the addresses that are listened on are names of ours.

    Raises SecretError where a token that is written down cannot be had, or one is needed and there is none: a gate without it would stand open.
    """
    server = config.server
    addresses = [address for text in listen if isinstance(address := parse_address(text), TcpAddress)]
    tokens = tuple(_token(index, secret) for index, secret in enumerate(server.tokens))
    if not tokens and (reached := next((address for address in addresses if not address.loopback), None)):
        raise SecretError(f"{reached.host}:{reached.port} can be reached from other machines: that needs server.tokens")
    own = {address.host for address in addresses} if tokens else set()
    return Gate(hosts=frozenset(own | {host.lower() for host in server.allowed_hosts}), origins=frozenset(server.allowed_origins), tokens=tokens)


def _token(index: int, secret: Secret) -> str:
    token = secret.read()
    if token is None:
        raise SecretError(f"server.tokens[{index}]: {secret.place} is not set or empty")
    return token


def keys_of(config: Config) -> dict[str, str | None]:
    """Each provider's key, read once for all who need it. Raises SecretError."""
    secrets = {name: provider.api_key for name, provider in config.providers.items() if isinstance(provider, OpenAIConfig | OpenRouterConfig)}
    return {name: secret.read() if secret else None for name, secret in secrets.items()}


def fingerprints(keys: Mapping[str, str | None], gate: Gate) -> dict[str, Hashable]:
    """What tells each provider's key, and the daemon's tokens, from what they were before, without telling them."""
    told = {name: (key,) for name, key in keys.items()} | {"": gate.tokens}
    return {name: tuple(sha256((secret or "").encode()).digest() for secret in secrets) for name, secrets in told.items()}
