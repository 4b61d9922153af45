"""image-importer: every picture put into the bucket `images` becomes one `Image` of the graph."""
