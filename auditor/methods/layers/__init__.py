"""Properties of single layers: kernels, initialisation, borders, input statistics, top activations."""
