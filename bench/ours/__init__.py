"""Our side of each measurement: processes of the project's own environment."""
