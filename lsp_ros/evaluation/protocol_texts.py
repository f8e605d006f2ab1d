"""How figures are measured, in the words that are printed with them."""

TABLE_PROTOCOLS = {
    'table1': (
        'One mouth network for each look-ahead, trained alike from the start on the same recordings; the last '
        'fifth of each validates. Validation error: mean distance of the 25 mouth points from the truth over '
        'these parts, as in the paper; the same parts chose the checkpoint that was kept, so it is a little kind. '
        'Held-out voice: the same network in the avatar, heard and moved by the live stages, on a voice and '
        'sentences that nothing was trained on; error in speech, and the share of P, B and M whose lip opening '
        'falls below 1 % of the largest true one within the phone and 50 ms on either side.'
    ),
    'table2': (
        "Each variant is trained alike from the start on the person's own recording, its last fifth excepted, and "
        'judged on that fifth, which also chose the checkpoint that was kept, and on the held-out recording, if '
        'there is one; the head begins up to five seconds before, at rest. D-L and D-V: mean distance of the 73 '
        "landmarks and of their change per frame in percent of the face's width; D-Rot: angle between the two "
        "heads; D-Pos: distance of the translations in percent of the face's width (Zhou et al. 2020). Mean over "
        'all frames and 8 draws. What is probabilistic is sampled and everything is smoothed as the avatar is. The '
        "still head rests at the person's mean. The slow motion that the avatar adds from its footage is left out. "
        'Turns by: standard deviation of the rotation about x, y and z.'
    ),
    'table3': (
        'Renderers trained alike from the start and judged on the pictures of the excerpt that nothing was trained '
        'on, drawn from the true landmarks, head poses and shoulders. Those pictures, or some of them '
        '(`validation_pictures`), also chose the checkpoint that was kept, so the figures are a little kind. L1 in '
        'grey levels of 255, PSNR in dB, SSIM over whole pictures; perceptual: the sum over five slices of a '
        'network of the mean absolute difference of features (for SqueezeNet as a share of the mean feature), '
        "which is not LPIPS. Mean and standard deviation over the pictures. The paper's columns are means of its "
        'three people, deviations included.'
    ),
}
"""How the rows of each of the paper's tables are measured."""

LIPS_PROTOCOL = (
    'Speech that nothing was trained on, heard and moved by the live stages. A P, B or M closes if the lip opening '
    'falls below 1 % of the largest true one within the phone and 50 ms on either side. Offset: the lag with the '
    'largest correlation of the lip opening with the true one, and with the loudness of the voice (dB, 500 to 2500 Hz, '
    'a frame), positive where the mouth is late; a true mouth has such a lag, too.'
)
FILM_PROTOCOL = (
    'How far the mouth in a finished film stands open is read from the spread of grey levels in the box around the '
    'mouth, and compared with the mouth that the avatar makes to the sound of the film, so that the film alone is '
    'judged, and with the loudness. Positive where the picture is late.'
)
FIGURE8_PROTOCOL = (
    't-SNE of 500 features each: of the held-out recording as heard (original), of the manifold (target), and the '
    'originals projected onto the manifold (reconstructed). Distance: mean distance to the nearest of the '
    "manifold's other rows."
)
FIGURE9_PROTOCOL = (
    't-SNE of head poses (angles in degrees, positions in cm), 30 centres by K-means of what the avatar does to the '
    'held-out recording (stars) and of the poses that it learned from (dots). Distance: mean distance of a centre to '
    'the nearest one of training.'
)
