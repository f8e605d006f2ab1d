"""ROS 2 nodes: thin shells around the stages. Each runs as a process of its own: ``python -m lsp_ros.nodes.<name>``."""

from lsp_ros import blas

blas.use_one_thread()
