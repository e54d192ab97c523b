"""Programs and configurations as numbers that a ranker reads."""
