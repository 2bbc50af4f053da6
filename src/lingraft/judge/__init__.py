"""Which of two answers is better: asked of models and of people."""
