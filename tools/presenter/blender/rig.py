"""Writes the rig of a person (landmark vertices, shapes, camera, eyes), all that the timeline needs.

usage: rig.py OUT.npz [--person robin]
"""

from __future__ import annotations

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
from head import Head
from person import PEOPLE

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out')
    parser.add_argument('--person', default='robin')
    a = parser.parse_args()
    np.savez(a.out, **Head(PEOPLE[a.person]).rig())
