"""A study: recipes along axes and seeds, planned, run here or on Ray, and what is measured of them."""
