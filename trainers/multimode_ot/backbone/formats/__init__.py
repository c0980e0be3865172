"""The formats of CLIP weights. All come out as a state dict of OpenAI's layout."""
