"""How fast the avatar is and what it costs (``lsp bench``): figures as plain numbers, and the tables made of them.

timing   anything, taking turns, warm-up apart
stages   each part of the way before the picture, beside PyTorch as it comes
engines  renderer engines, and batches of streams
soak     simulated hours through all stages in one process
live     the running graph
processes  processor time and memory of its processes
report   Markdown, JSON, the machine
"""
