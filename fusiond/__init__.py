"""fusiond: a local-first daemon that asks several language models at once and serves one fused answer."""

__version__ = "0.1.0"
