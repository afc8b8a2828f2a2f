"""Hand-made mutants of the product, each of which the simulation must catch: the proof that it can see anything."""
