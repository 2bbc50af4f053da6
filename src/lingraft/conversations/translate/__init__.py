"""Records in another language: what is prose is translated, everything else stays as it is."""
