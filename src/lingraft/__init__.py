"""Graft a language onto a pretrained LLM."""
