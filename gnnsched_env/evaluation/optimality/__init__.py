"""How far policies are from the optimum: of episodes, by bounds, and of small instances, by proofs."""
