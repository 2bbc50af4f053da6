"""Suites of labeled tasks: a head is trained on the model, fully or by LoRA, and scored by the task's own metric."""

SUITES = ("klej", "hulu", "hindi_cls")
"""Their tasks stand in `tasks`, which takes longer to import."""
