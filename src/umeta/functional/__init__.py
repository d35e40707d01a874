"""Pure tensor mathematics; nothing here knows of files, images or environments."""
