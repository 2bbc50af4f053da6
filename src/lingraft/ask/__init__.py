"""Have a model answer: one behind an endpoint, or one in a folder."""
