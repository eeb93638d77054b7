"""The embedded models' own networks: the classes that their model folders name.

Each loads torch and diffusers or transformers, so only when it is asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "lifted_reference": ["LiftedReference"],
        "patch_autoencoder": ["PatchAutoencoder"],
        "reference_tokens": ["ReferenceTokens"],
        "scorer": ["ImageScorer"],
        "text_encoder": ["MiniLMTextEncoder"],
    },
)
