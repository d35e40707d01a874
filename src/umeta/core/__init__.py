"""The skeleton that both halves of umeta share; it knows neither images nor control."""
