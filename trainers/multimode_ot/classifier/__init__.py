"""The plugin for people with pictures and labels and no Dassl: fit, predict, save, load."""
