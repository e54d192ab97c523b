"""Ways of training an agent, each a method that the training loop runs."""
