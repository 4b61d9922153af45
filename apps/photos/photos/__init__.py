"""The gallery: thumbnails made once and kept in the object store, and the page that shows the graph."""
