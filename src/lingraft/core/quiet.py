"""Import this before heavy libraries: some log on import what concerns nobody who did not ask for it."""

import logging

# On a processor: that a kernel for inference cannot be fetched from the hub.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
