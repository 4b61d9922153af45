"""Who made an archive: signatures, the author that follows from them, and names that look like another app's."""
