"""One folder a stage of the paper: `nodes.py` holds thin functions over the library, `pipeline.py` wires
them."""
