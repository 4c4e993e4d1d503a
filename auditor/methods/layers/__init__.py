"""What single layers hold: kernels, initialisation, borders, top activations."""
