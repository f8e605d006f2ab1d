"""``lsp import-release``: the authors' released avatars as avatars of ours."""

import argparse

from lsp_ros.official_release.release import describe, import_release


def run_import(options: argparse.Namespace) -> None:
    imported = import_release(
        options.folder, options.subject, options.out, options.config, options.skip_unknown_tensors
    )
    print('\n'.join(describe(imported)))
