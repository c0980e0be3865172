"""Weights that are fetched: OpenAI's archives by us, all others by the libraries they belong to."""
