"""Conversations and preferences: their forms, what is wrong with them, and their translation."""
