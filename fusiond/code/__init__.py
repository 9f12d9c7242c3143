"""Answers that are code: what a request wants of it, which code an answer has, whether it can be read, and how it behaves.

`request.coding` tells from a request that it wants code, `answer.program` takes the code out of an answer, `workshop` looks at it in a process of its
own (`driver`) and, where that is allowed, runs it in a `jail`; `choice` says which answers are best by what was found. Nothing here rewrites code.
"""
