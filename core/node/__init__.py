"""One node: its data folder, its web server, its local administration socket, and what it says of itself."""
