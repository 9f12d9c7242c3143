"""What this release knows without a network: the models and prices of OpenRouter as they were when it was made.

`prices.json` has the form of OpenRouter's own list, and names its source, its licence and its date. It is made from a copy of models.dev, which
follows that list: every `providers/openrouter/models/**.toml` is laid over its `base_model`, USD per million tokens become USD per token, a tier of
context becomes an override. Left out are models that search the web unasked or answer in more than text, since their bills have other items too; an
image, which models.dev gives no price, is put down at one token of the prompt, as OpenRouter's list has it where it names one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from fusiond.members.openrouter_list import Listed, facts_of


@cache
def listed() -> Mapping[str, Listed]:
    """The models by their names. Read when first asked for, and then kept."""
    return MappingProxyType(facts_of(json.loads(files("fusiond").joinpath("prices.json").read_bytes())))
