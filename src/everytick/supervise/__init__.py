"""Every task and thread has an owner here; health is a pure function of durable progress."""
