"""For all tests."""

import asyncio

# On Python 3.11 pytest-asyncio's asyncio.get_event_loop() makes a loop that nobody closes, and warnings are errors
# here; with this it finds none and makes none.
asyncio.set_event_loop(None)
