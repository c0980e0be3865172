"""From nothing to the data: fetches published data sets, or places what a person already has.

python -m fewshot_datasets.get [NAMES...] [--root DATA] [--from PATH ...] [--dry-run]
"""
