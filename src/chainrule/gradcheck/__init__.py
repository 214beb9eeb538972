"""The proof of gradients, which names the mistake."""
