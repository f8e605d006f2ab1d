"""How fast the avatar is and what it costs (``lsp bench``): figures as plain numbers, and the tables made of them.

timing   anything, taking turns, warm-up apart
stages   each part of the way before the picture, beside PyTorch as it comes
engines  renderer engines, and batches of streams
soak     simulated hours through all stages in one process
live     processes of the running graph
performance_report, live_report   what was measured in one process, and of the running graph, in Markdown
provenance, pages                 machine and command behind the figures; figures into files
"""
