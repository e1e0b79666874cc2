"""The command `lesions`: it predicts with a trained model, and needs neither Keras nor pandas."""
