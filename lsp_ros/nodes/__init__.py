"""ROS 2 nodes: thin shells around the stages. Each runs as a process of its own: ``python -m lsp_ros.nodes.<name>``."""

import os

# Read when NumPy is first imported. The stages multiply small matrices frame by frame: more threads would only
# spin, on cores that the renderer needs.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
