"""A report of a result file or a training as one page of HTML that needs no other file and no network."""
