"""The commands."""

CONFIGURATION = "The configuration's file; without it $FUSIOND_CONFIG, then ~/.config/fusiond/config.toml, then /etc/fusiond/config.toml."
"""Which file a command reads, for its help."""
