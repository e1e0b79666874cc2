"""Settings of a training, for tests that train."""

from lesions.config.models import Training


def training_settings(**changes):
    """Give the settings of a training, with the defaults of the schema."""
    settings = {"learning_rate": 0.001, "batch_size": 8, "epochs": 1, "keep_epoch": "last"}
    named = {"architecture": "any", "inputs": "images.npy", "rows": "train"}
    return Training(**named | settings | changes).training_settings()
