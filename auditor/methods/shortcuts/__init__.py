"""Which places and backgrounds decide a prediction."""
