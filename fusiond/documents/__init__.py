"""Several members' JSON documents made into one, field by field, of nothing that nobody said.

Fields are voted on with the same belief as whole answers; a number that nobody repeats is the middle one of all. Fields and rows stay that most
members have; where just half of them do, as the most skilled has it. Names and items stand in the order of the most skilled.
Pure: documents and voters in, a document out; the same whatever came first.
"""

from __future__ import annotations

from fusiond.documents.effort import TooMuch
from fusiond.documents.merging import Merged, merge

__all__ = ["Merged", "TooMuch", "merge"]
