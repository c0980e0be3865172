"""The training step, the Dassl trainers made of it, and what a run leaves on the disk."""
