"""The tape made queryable. A store is a view: drop it, rebuild it from the tape, get the same."""
