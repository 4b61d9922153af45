"""Draws a new puppy at each visit. Uses nothing but Python: no PCloud, no other library."""
