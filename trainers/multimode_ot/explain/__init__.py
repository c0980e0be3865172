"""What was learned: plans over patches, words near the prompts, diversity of modes."""
