"""Training methods: ways of training an agent, each run by the training loop."""
