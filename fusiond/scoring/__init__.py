"""How good answers are: sets of questions whose right answers are known, answers to them, and what both together say. Nothing here asks anybody."""
