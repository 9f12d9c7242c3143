"""Which candidates are best by what was found out about their code, and which of them are the same.

First those that can be read, then those that pass the most examples. Candidates that behave alike are a cluster: of those that were run, by what came
of every call; of those that were only read, by what they say without comments and blanks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from fusiond.code.answer import Program
from fusiond.code.workshop import UNTRIED, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One answer's code, and what was found out about it. `program` None: it has no code."""

    program: Program | None = None
    trial: Trial = UNTRIED

    @property
    def cluster(self) -> str | None:
        """A name for how it behaves; None without any code. Which error is raised makes no difference: examples say when one is wanted."""
        if self.program is None:
            return None
        if self.trial.ran and self.trial.said:
            behaviour = "\n".join("raises" if said.startswith("raises ") else said for said in self.trial.said)
        else:
            behaviour = self.trial.digest or " ".join(self.program.code.split())
        return sha256(f"{self.trial.ran} {behaviour}".encode(errors="surrogatepass")).hexdigest()[:8]


Candidates = Mapping[str, Candidate]
"""By voice."""


def best(candidates: Candidates) -> list[str]:
    """The voices that nothing speaks against: where there is any code those that have some, and so on."""
    voices = list(candidates)
    for merit in (_has_code, _reads, _passed):
        most = max(merit(candidates[voice]) for voice in voices)
        voices = [voice for voice in voices if merit(candidates[voice]) == most]
    return voices


def clusters(candidates: Candidates, voices: Sequence[str]) -> dict[str, list[str]]:
    """Those of the voices that have code, by how it behaves; in their order."""
    found: dict[str, list[str]] = {}
    for voice in voices:
        if (cluster := candidates[voice].cluster) is not None:
            found.setdefault(cluster, []).append(voice)
    return found


def solved(candidate: Candidate, examples: int) -> bool:
    """Whether it passes all examples, of which there are some."""
    return examples > 0 and candidate.trial.passed == examples


def _has_code(candidate: Candidate) -> int:
    return candidate.program is not None


def _reads(candidate: Candidate) -> int:
    return candidate.trial.parses is not False


def _passed(candidate: Candidate) -> int:
    return candidate.trial.passed
