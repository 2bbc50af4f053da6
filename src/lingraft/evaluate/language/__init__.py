"""The language of a text, word by word: of what models write."""
