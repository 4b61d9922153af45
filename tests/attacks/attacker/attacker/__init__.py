"""An app without any library: it runs the Python code that it receives in a separate process, and returns the output."""
