"""The same ports without the world, and venues that remember the truth they sent."""
