"""everytick: record every tick, prove what is missing, act on the same tape."""

__version__ = "0.1.0"
