"""Settings of all layers."""

from hypothesis import settings

# The same examples in every run: a red build can be run again. No deadline: it would judge the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
