"""Qualities of service of the graph's topics."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

# Reliable: a lost chunk is a hole in a sentence. The depths are 2 to 4 seconds of audio and one of frames, so that
# a machine that was busy for a moment catches up without a loss.
AUDIO_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.RELIABLE)
FRAME_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=60, reliability=ReliabilityPolicy.RELIABLE)
# For a foreign publisher that offers no more.
LOSSY_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
# Reliable publisher and a small depth (REP-2003); a subscriber that wants only the newest picture asks for best effort.
IMAGE_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE)
# A viewer that records wants every picture, also after a moment's hold-up.
VIEWER_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=30, reliability=ReliabilityPolicy.RELIABLE)
# Whoever comes late still learns the last value.
STATE_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
