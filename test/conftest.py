"""What every test may use. Fixtures live in plug-in files beside this one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ['avatar_fixture']
