"""Where the texture scripts read and write: the folder named by PRESENTER_WORK (default: ./work).

work/scan/: LeePerrySmith.glb, Map-COL.jpg, Map-SPEC.jpg, Infinite-Level_02_Disp_NoSmoothUV-4096.jpg (CC BY 3.0);
work/ict.npz; the scripts leave their steps in work/ and the finished maps in ../assets/textures.
"""

import os

WORK = os.environ.get('PRESENTER_WORK', 'work') + '/'
SCAN = WORK + 'scan/'
ICT = WORK + 'ict.npz'
TEX = WORK + 'tex/'
DONE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'assets', 'textures') + '/'
os.makedirs(TEX, exist_ok=True)
