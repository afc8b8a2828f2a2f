"""everytick: record every tick, prove what is missing, act on the same tape."""
