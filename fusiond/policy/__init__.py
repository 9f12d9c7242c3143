"""Decisions as arithmetic: pure functions over values, with the clock passed in."""
