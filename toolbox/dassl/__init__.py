"""An independent stand-in for the Dassl toolbox: the part that prompt-learning repositories use.

Hosts import configuration, data loading, optimizers and the trainer classes from here under the
names of the original, whose last release this follows; the version string tells the two apart.
"""

__version__ = "0.6.3+standin.0.1.0"
