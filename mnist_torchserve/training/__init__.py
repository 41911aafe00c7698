"""How the model is made: data, augmentation, what is no digit, fit, evaluation, export, and the card that tells it."""
