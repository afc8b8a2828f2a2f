"""The peers' side of each measurement: processes of an environment of their own (see bench/environment.py)."""
