"""People compare and rate answers on a local page, without knowing which model wrote them."""
