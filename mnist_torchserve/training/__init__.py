"""How the model is made: data, augmentation, images without a digit, fit, evaluation, export, and the model card."""
