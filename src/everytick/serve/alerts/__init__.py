"""Alerts: rules in one table, signals from facts and health, a durable outbox, and delivery that blocks nobody."""
