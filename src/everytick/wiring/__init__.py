"""The one place that knows every part, and how they are put together for each kind of process."""
