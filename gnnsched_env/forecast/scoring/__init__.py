"""How rankings are scored, their noise ceiling, and the competition's submission."""
