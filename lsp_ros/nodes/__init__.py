"""ROS 2 nodes: thin shells around the stages. Each runs as a process of its own: ``python -m lsp_ros.nodes.<name>``.

Importing this package has NumPy compute on one thread, unless the environment says otherwise: NumPy reads that when
it is first imported, long before a node's ``main``. It is the one thing that is also set in a program which takes one
of the nodes into its own process.
"""

from lsp_ros import blas

blas.use_one_thread()
