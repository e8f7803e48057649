"""Sleep stages from epochs: the bounded context, the model, the live worker, the settler."""
