"""The consultation in a browser, and the clinic's store behind it."""
