"""What a trained model does: its transport plans, and what they matter. Needs no Dassl."""
