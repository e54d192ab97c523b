"""Training sets of synthetic jobs: how jobs are drawn and labelled."""
