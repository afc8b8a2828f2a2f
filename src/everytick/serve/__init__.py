"""What we hold, answered over HTTP."""
