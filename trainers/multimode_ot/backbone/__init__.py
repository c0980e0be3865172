"""A frozen CLIP and what runs it: weights, towers, class tokens, precision. Knows no method."""
