<<<<<<< HEAD
"""What was learned: plans over patches, words near the prompts, diversity of modes."""
=======
"""What a trained model does: its transport plans, and what they matter. Needs no Dassl."""
>>>>>>> 4e049ba
