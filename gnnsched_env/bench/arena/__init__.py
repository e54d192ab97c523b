"""Scores a policy's file on hidden episodes, in processes of its own that see nothing but observations."""
