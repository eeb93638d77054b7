"""Pages that show finished objects in a web browser: self-contained files that ask for nothing from the network."""
