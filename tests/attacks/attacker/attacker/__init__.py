"""An app without any library: it runs the Python that it is given, in a process of its own, and tells what that printed."""
