"""face-detector: finds the faces of every new Image and adds each as an `ImageSegment`."""
